// Owns what an object still has to do at another object: rows written together with what caused them, carried out at once, and again until
// the other has confirmed. Knows nothing of what they mean.

import { decodeCbor, encodeCbor } from "../schemas/cbor.ts";
import { isRefusal, REFUSALS } from "../schemas/refusal.ts";
import { traceBug } from "./trace.ts";

/** Bytes that several effects share are stored once, as their parcel. */
type Carry<Effect> = (effect: Effect, parcel: Uint8Array | null) => Promise<void>;

interface Row extends Record<string, SqlStorageValue> {
  n: number;
  attempts: number;
  body: ArrayBuffer;
  parcel: number | null;
}

/** How long the first attempt may take before the alarm takes over, in ms. */
const PATIENCE = 2_000;
const LONGEST_WAIT = 600_000;
const AT_ONCE = 32;

const TABLES = `
  CREATE TABLE IF NOT EXISTS effects (
    n INTEGER PRIMARY KEY AUTOINCREMENT, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL, body BLOB NOT NULL, parcel INTEGER
  );
  CREATE TABLE IF NOT EXISTS parcels (n INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);`;

/** The outbox of one object. `Effect` is plain data. */
export class Effects<Effect> {
  readonly #sql: SqlStorage;
  readonly #carry: Carry<Effect>;
  readonly #underWay = new Set<number>();
  /** Nothing is written down, so there is nothing to look for. */
  #idle = false;

  /** `carry` does one effect and may be called again for the same one; a refusal that asks to give up ends it. */
  constructor(sql: SqlStorage, carry: Carry<Effect>) {
    this.#sql = sql;
    this.#carry = carry;
    sql.exec(TABLES);
  }

  /** Writes effects down, to be carried out by {@link run}; `now` in ms. */
  add(effects: readonly Effect[], now: number, parcel: Uint8Array | null = null): void {
    if (effects.length > 0) this.#idle = false;
    const n = parcel === null || effects.length === 0 ? null : this.#keep(parcel);
    for (const effect of effects) {
      this.#sql.exec(
        "INSERT INTO effects (attempts, due_at, body, parcel) VALUES (0, ?, ?, ?)",
        now + PATIENCE,
        encodeCbor(effect),
        n,
      );
    }
  }

  /** When the next one is to be tried (again), in ms; null when there is none. */
  dueAt(): number | null {
    if (this.#idle) return null;
    return this.#sql.exec<{ at: number | null }>("SELECT min(due_at) AS at FROM effects").one().at;
  }

  /** Carries out what is new and what is due by `now` (ms), a few at a time. Never throws. */
  async run(now: number): Promise<void> {
    if (this.#idle) return;
    this.#idle = this.dueAt() === null;
    const rows = this.#sql
      .exec<Row>("SELECT n, attempts, body, parcel FROM effects WHERE attempts = 0 OR due_at <= ? ORDER BY n", now)
      .toArray()
      .filter(({ n }) => !this.#underWay.has(n));
    for (const { n } of rows) this.#underWay.add(n);
    for (let start = 0; start < rows.length; start += AT_ONCE) {
      await Promise.all(rows.slice(start, start + AT_ONCE).map((row) => this.#attempt(row)));
    }
  }

  async #attempt(row: Row): Promise<void> {
    try {
      await this.#carry(decodeCbor(new Uint8Array(row.body)) as Effect, this.#parcel(row.parcel));
      this.#finish(row);
    } catch (error) {
      if (isRefusal(error) && REFUSALS[error.code].remedy === "give_up") this.#finish(row);
      else this.#postpone(row, error);
    } finally {
      this.#underWay.delete(row.n);
    }
  }

  #finish({ n, parcel }: Row): void {
    this.#sql.exec("DELETE FROM effects WHERE n = ?", n);
    if (parcel === null) return;
    this.#sql.exec(
      "DELETE FROM parcels WHERE n = ? AND NOT EXISTS (SELECT 1 FROM effects WHERE parcel = ?)",
      parcel,
      parcel,
    );
  }

  #postpone({ n, attempts }: Row, error: unknown): void {
    if (attempts === 0) traceBug("effect", error);
    const wait = Math.min(1_000 * 2 ** attempts, LONGEST_WAIT) * (0.5 + Math.random());
    this.#sql.exec(
      "UPDATE effects SET attempts = attempts + 1, due_at = ? WHERE n = ?",
      Math.ceil(Date.now() + wait),
      n,
    );
  }

  #keep(parcel: Uint8Array): number {
    return this.#sql.exec<{ n: number }>("INSERT INTO parcels (bytes) VALUES (?) RETURNING n", parcel).one().n;
  }

  #parcel(n: number | null): Uint8Array | null {
    if (n === null) return null;
    return new Uint8Array(
      this.#sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM parcels WHERE n = ?", n).one().bytes,
    );
  }
}
