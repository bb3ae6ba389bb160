// Owns how often a conversation may be begun anew, in the object's SQLite. Knows no rules of what a reset is.

import type { MemberId } from "../../schemas/ids.ts";
import { Refusal } from "../../schemas/refusal.ts";

/** Least time between two resets of a conversation, in ms: who noticed as well has heard of the first by then. */
const BETWEEN = 10_000;
/** Least time between two resets by one member, in ms: whoever begins anew to keep others out cannot undo that they begin anew after it. */
const BETWEEN_OWN = 600_000;

const TABLE = "CREATE TABLE IF NOT EXISTS resets (member TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID";

/** The resets of one conversation, as far as they still count. */
export class Resets {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLE);
  }

  /** Counts a reset by `member` at `now` (ms). @throws {Refusal} rate_limited — too soon after the last; nothing was counted */
  take(member: MemberId, now: number): void {
    const rows = this.#sql.exec<{ member: string; at: number }>("SELECT member, at FROM resets").toArray();
    const waits = rows.map(({ member: by, at }) => {
      const pause = by === member ? BETWEEN_OWN : BETWEEN;
      // A clock that was set back must not keep anybody waiting
      return at > now ? 0 : at + pause - now;
    });
    const wait = Math.max(0, ...waits);
    if (wait > 0) throw new Refusal("rate_limited", { retryAfter: wait });
    this.#sql.exec("DELETE FROM resets WHERE at <= ? OR at > ?", now - BETWEEN_OWN, now);
    this.#sql.exec("INSERT OR REPLACE INTO resets VALUES (?, ?)", member, now);
  }
}
