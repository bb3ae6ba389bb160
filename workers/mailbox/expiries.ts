// Owns when something the member has left elsewhere is to be destroyed, in the mailbox's SQLite. Knows neither what it is nor where it lies.

const TABLES = "CREATE TABLE IF NOT EXISTS expiries (at INTEGER PRIMARY KEY)";

/** The times of one mailbox. */
export class Expiries {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  /** Notes a time (ms). The same again changes nothing. */
  add(at: number): void {
    this.#sql.exec("INSERT OR IGNORE INTO expiries VALUES (?)", at);
  }

  /** The earliest time, in ms; null when there is none. */
  dueAt(): number | null {
    return this.#sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM expiries").one().at;
  }

  /** Everything up to `now` (ms) has been seen to. */
  drop(now: number): void {
    this.#sql.exec("DELETE FROM expiries WHERE at <= ?", now);
  }
}
