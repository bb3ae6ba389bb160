// Owns when something in the log expires, in the object's SQLite: for each block of consecutive envelopes the earliest time in it. An index by
// time would cost a row for every timed message; this costs a row for every block. Knows no rules and destroys nothing.

/** Consecutive envelopes that share a row here. */
const BLOCK = 128;
/** Blocks that one turn of a sweep looks into, at most. */
const MOST_BLOCKS = 40;

const TABLES = `
  CREATE TABLE IF NOT EXISTS expiries (block INTEGER PRIMARY KEY, at INTEGER NOT NULL);
  CREATE INDEX IF NOT EXISTS expiries_by_time ON expiries (at);`;

/** The expiries of one log. Every time here is that of an envelope that still has its bytes. */
export class Expiries {
  readonly #sql: SqlStorage;
  /** The block that was written to last, so that appending reads nothing. */
  #newest: { readonly block: number; readonly at: number } | undefined;

  /** The table of the log is there already. */
  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  /** Forgets what it remembers, after a transaction that was rolled back. */
  reload(): void {
    this.#newest = undefined;
  }

  /** When the next envelope expires, in ms; null when none will. */
  next(): number | null {
    return this.#sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM expiries").one().at;
  }

  /** Notes that the envelope just appended expires at `at` (ms). */
  note(seq: number, at: number): void {
    const block = blockOf(seq);
    if (this.#newest?.block !== block) this.#newest = { block, at: this.#at(block) ?? Number.POSITIVE_INFINITY };
    if (at < this.#newest.at) this.#set(block, at);
  }

  /** Up to `limit` envelopes that have expired by `now` (ms), fewer when they lie far apart. */
  due(now: number, limit: number): number[] {
    const due: number[] = [];
    const blocks = this.#sql
      .exec<{ block: number }>("SELECT block FROM expiries WHERE at <= ? ORDER BY at LIMIT ?", now, MOST_BLOCKS)
      .toArray();
    const query =
      "SELECT seq FROM log WHERE seq >= ? AND seq < ? AND expires_at <= ? AND bytes IS NOT NULL ORDER BY seq LIMIT ?";
    for (const { block } of blocks) {
      const [from, to] = [block * BLOCK, (block + 1) * BLOCK];
      for (const [seq] of this.#sql.exec(query, from, to, now, limit - due.length).raw<[number]>()) due.push(seq);
      if (due.length >= limit) break;
    }
    return due;
  }

  /** Puts right the blocks of envelopes whose bytes were destroyed. */
  settle(seqs: readonly number[]): void {
    for (const block of new Set(seqs.map(blockOf))) this.#settle(block);
  }

  /** Puts right what is left after everything up to `through` was deleted. */
  forget(through: number): void {
    const first = blockOf(through + 1);
    this.#sql.exec("DELETE FROM expiries WHERE block < ?", first);
    this.#settle(first);
  }

  #settle(block: number): void {
    const known = this.#at(block);
    if (known === null) return;
    const query =
      "SELECT min(expires_at) AS at FROM log WHERE seq >= ? AND seq < ? AND expires_at IS NOT NULL AND bytes IS NOT NULL";
    const { at } = this.#sql.exec<{ at: number | null }>(query, block * BLOCK, (block + 1) * BLOCK).one();
    if (at === known) return;
    if (at !== null) this.#set(block, at);
    else this.#sql.exec("DELETE FROM expiries WHERE block = ?", block);
    this.#newest = undefined;
  }

  #set(block: number, at: number): void {
    this.#sql.exec("INSERT INTO expiries VALUES (?, ?) ON CONFLICT DO UPDATE SET at = excluded.at", block, at);
    this.#newest = { block, at };
  }

  #at(block: number): number | null {
    const [row] = this.#sql.exec<{ at: number }>("SELECT at FROM expiries WHERE block = ?", block).toArray();
    return row?.at ?? null;
  }
}

function blockOf(seq: number): number {
  return Math.floor(seq / BLOCK);
}
