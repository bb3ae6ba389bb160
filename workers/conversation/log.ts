// Owns the log of a conversation in the object's SQLite: envelopes in order, their rolling hash, epoch and GroupInfo. Knows no rules,
// no sockets and no members.

import { equalBytes } from "../../schemas/bytes.ts";
import { chain, digestOf, GENESIS } from "../../schemas/chain.ts";
import type { Envelope, Head } from "../../schemas/frames.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import { Expiries } from "./expiries.ts";

/** What is to be appended. Times in ms. */
interface Draft {
  readonly id: Uint8Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly acceptedAt: number;
  readonly expiresAt: number | null;
}

/** Consecutive envelopes and the rolling hash after the last of them. */
interface Page {
  readonly envelopes: Envelope[];
  readonly hash: Uint8Array<ArrayBuffer>;
}

interface Row extends Record<string, SqlStorageValue> {
  seq: number;
  id: ArrayBuffer;
  bytes: ArrayBuffer | null;
  digest: ArrayBuffer;
  hash: ArrayBuffer;
  accepted_at: number;
  expires_at: number | null;
}

const HANDFUL = 50;
const MOST_BYTES = 9_000_000_000;

// The bytes come last: SQLite reads through them to get at what stands behind
const TABLES = `
  CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, accepted_at INTEGER NOT NULL, expires_at INTEGER,
    digest BLOB NOT NULL, hash BLOB NOT NULL, bytes BLOB
  );
  CREATE TABLE IF NOT EXISTS log_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, epoch INTEGER NOT NULL,
    base_seq INTEGER NOT NULL, base_hash BLOB NOT NULL, base_at INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS group_info (one INTEGER PRIMARY KEY CHECK (one = 1), bytes BLOB NOT NULL);
  INSERT OR IGNORE INTO log_head VALUES (1, 0, 0, 0, x'${"00".repeat(32)}', 0);`;

/** One conversation's log. Nothing here awaits, so a caller's block of appends is one atomic write of the platform. */
export class Log {
  readonly #sql: SqlStorage;
  readonly #expiries: Expiries;
  #head: Head = { seq: 0, hash: GENESIS, epoch: 0, generation: 0 };
  #base = 0;
  #lastAt = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
    this.#expiries = new Expiries(sql);
    this.reload();
  }

  /** Reads the head anew, after a transaction that was rolled back. */
  reload(): void {
    const { generation, epoch, base_seq, base_hash, base_at } = this.#sql
      .exec<{ generation: number; epoch: number; base_seq: number; base_hash: ArrayBuffer; base_at: number }>(
        "SELECT generation, epoch, base_seq, base_hash, base_at FROM log_head",
      )
      .one();
    const [last] = this.#sql
      .exec<{ seq: number; hash: ArrayBuffer; accepted_at: number }>(
        "SELECT seq, hash, accepted_at FROM log ORDER BY seq DESC LIMIT 1",
      )
      .toArray();
    this.#expiries.reload();
    this.#base = base_seq;
    this.#lastAt = last?.accepted_at ?? base_at;
    this.#head = { seq: last?.seq ?? base_seq, hash: new Uint8Array(last?.hash ?? base_hash), epoch, generation };
  }

  get head(): Head {
    return this.#head;
  }

  /** The oldest seq that can still be asked for. */
  get first(): number {
    return this.#base + 1;
  }

  /** Whether there is no room for more; the platform gives an object 10 GB. */
  get full(): boolean {
    return this.#sql.databaseSize > MOST_BYTES;
  }

  /** Time of acceptance for an envelope that comes now: never before its predecessor's, whatever the clock does. */
  acceptedAt(now: number): number {
    return Math.max(now, this.#lastAt);
  }

  /**
   * The seq under which these bytes are stored already; `undefined` for a new id.
   * @throws {Refusal} conflict — the id is taken by other bytes
   */
  known(id: Uint8Array, bytes: Uint8Array): number | undefined {
    const [row] = this.#sql
      .exec<{ seq: number; digest: ArrayBuffer }>("SELECT seq, digest FROM log WHERE id = ?", id)
      .toArray();
    if (row === undefined) return undefined;
    if (!equalBytes(new Uint8Array(row.digest), digestOf(id, bytes))) throw new Refusal("conflict");
    return row.seq;
  }

  /** Appends one envelope and returns it with its seq. @throws {Refusal} conflict — the id is stored already; nothing was changed */
  append({ id, bytes, acceptedAt, expiresAt }: Draft): Envelope {
    const seq = this.#head.seq + 1;
    const digest = digestOf(id, bytes);
    const hash = chain(this.#head.hash, seq, digest);
    const { rowsWritten } = this.#sql.exec(
      "INSERT OR IGNORE INTO log (seq, id, bytes, digest, hash, accepted_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      seq,
      id,
      bytes,
      digest,
      hash,
      acceptedAt,
      expiresAt,
    );
    if (rowsWritten === 0) throw new Refusal("conflict");
    if (expiresAt !== null) this.#expiries.note(seq, expiresAt);
    this.#head = { ...this.#head, seq, hash };
    this.#lastAt = acceptedAt;
    return { seq, id, acceptedAt, expiresAt, bytes, digest: null };
  }

  /** Enters the epoch after an accepted commit and keeps its GroupInfo in place of the last. */
  enter({ generation, epoch }: Pick<Head, "generation" | "epoch">, groupInfo: Uint8Array): void {
    this.#sql.exec("UPDATE log_head SET generation = ?, epoch = ?", generation, epoch);
    this.#sql.exec("INSERT OR REPLACE INTO group_info VALUES (1, ?)", groupInfo);
    this.#head = { ...this.#head, generation, epoch };
  }

  /** GroupInfo of the current epoch; null before the first commit. */
  groupInfo(): Uint8Array<ArrayBuffer> | null {
    const [row] = this.#sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM group_info").toArray();
    return row === undefined ? null : new Uint8Array(row.bytes);
  }

  /** The envelopes after `after`, at most a page of them. One that is due by `now` (ms) shows its digest only, swept or not. */
  page(after: number, now: number): Page {
    const envelopes: Envelope[] = [];
    let hash = this.#head.hash;
    let size = 0;
    for (const row of this.#rows(after)) {
      size += row.bytes?.byteLength ?? 0;
      if (size > LIMITS.pageBytes && envelopes.length > 0) break;
      envelopes.push(toEnvelope(row, now));
      hash = new Uint8Array(row.hash);
    }
    return { envelopes, hash };
  }

  /** A page of rows at most, fetched a handful at a time: one by one costs three times as much, all at once may be 64 MiB. */
  *#rows(after: number): Iterable<Row> {
    const query =
      "SELECT seq, id, bytes, digest, hash, accepted_at, expires_at FROM log WHERE seq > ? ORDER BY seq LIMIT ?";
    for (let left: number = LIMITS.pageEnvelopes, last = after; left > 0; left -= HANDFUL) {
      const rows = this.#sql.exec<Row>(query, last, Math.min(left, HANDFUL)).toArray();
      yield* rows;
      if (rows.length < HANDFUL) return;
      last = rows.at(-1)?.seq ?? last;
    }
  }

  /** When the next envelope expires, in ms; null when none will. */
  nextExpiry(): number | null {
    return this.#expiries.next();
  }

  /** When the oldest envelope that still has its bytes was accepted, in ms; null when there is none. */
  oldestAt(): number | null {
    const [row] = this.#sql
      .exec<{ accepted_at: number }>("SELECT accepted_at FROM log WHERE bytes IS NOT NULL ORDER BY seq LIMIT 1")
      .toArray();
    return row?.accepted_at ?? null;
  }

  /** Destroys the bytes of at most `limit` envelopes that have expired by `now`; their digests stay. */
  expire(now: number, limit: number): void {
    this.#destroy(this.#expiries.due(now, limit));
  }

  /** Destroys the bytes of at most `limit` envelopes accepted by `until`; their digests stay. */
  retain(until: number, limit: number): void {
    const oldest = "SELECT seq, accepted_at FROM log WHERE bytes IS NOT NULL ORDER BY seq LIMIT ?";
    const rows = this.#sql.exec<{ seq: number; accepted_at: number }>(oldest, limit).toArray();
    this.#destroy(rows.filter(({ accepted_at }) => accepted_at <= until).map(({ seq }) => seq));
  }

  /** Forgets at most `limit` envelopes up to and including `through`, for good: what everybody has needs no digest either. */
  forget(through: number, limit: number): void {
    const until = Math.min(through, this.#head.seq, this.#base + limit);
    if (until <= this.#base) return;
    const last = this.#sql
      .exec<{ hash: ArrayBuffer; accepted_at: number }>("SELECT hash, accepted_at FROM log WHERE seq = ?", until)
      .one();
    this.#sql.exec("UPDATE log SET bytes = zeroblob(length(bytes)) WHERE seq <= ? AND bytes IS NOT NULL", until);
    this.#sql.exec("DELETE FROM log WHERE seq <= ?", until);
    this.#sql.exec("UPDATE log_head SET base_seq = ?, base_hash = ?, base_at = ?", until, last.hash, last.accepted_at);
    this.#expiries.forget(until);
    this.#base = until;
  }

  /** The platform denies `PRAGMA secure_delete`, and freed pages keep what they held: zeros of the same length take its place first. */
  #destroy(seqs: readonly number[]): void {
    for (const seq of seqs) {
      this.#sql.exec("UPDATE log SET bytes = zeroblob(length(bytes)) WHERE seq = ?", seq);
      this.#sql.exec("UPDATE log SET bytes = NULL WHERE seq = ?", seq);
    }
    this.#expiries.settle(seqs);
  }
}

function toEnvelope({ seq, id, bytes, digest, accepted_at, expires_at }: Row, now: number): Envelope {
  const gone = bytes === null || (expires_at !== null && expires_at <= now);
  return {
    seq,
    id: new Uint8Array(id),
    acceptedAt: accepted_at,
    expiresAt: expires_at,
    bytes: gone ? null : new Uint8Array(bytes),
    digest: gone ? new Uint8Array(digest) : null,
  };
}
