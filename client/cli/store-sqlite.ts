// Keeps a store in one SQLite file of a profile folder, for Node. The only file of the client that knows SQL; it knows nothing of
// what the values mean.

import { chmodSync, closeSync, mkdirSync, openSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  boundsOf,
  checkKey,
  type Entry,
  type Range,
  type Store,
  storeRefusal,
  TABLES,
  type Table,
  type Write,
} from "../engine/store.ts";

const VERSION = 1;
const FILE = "profile.sqlite";

/** SQLite's primary result codes that mean something to us (sqlite.org/rescode.html). */
const BUSY = 5;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

export interface SqliteOptions {
  /** How large the profile may grow, in bytes; without it, as large as the disk. */
  readonly maxBytes?: number;
}

/**
 * Opens the profile in `folder`, making it when it is new (folder mode 700, files 600). One opener at a time, in any process; a crash
 * lets go of the profile.
 * @throws {Refusal} conflict {reason: "in_use"} — another process has this profile open
 * @throws {Refusal} version_unsupported — a newer build has written it
 * @throws {Refusal} unavailable {reason: "damaged"} — the file is no database; other reasons are the system's error code
 */
export async function openSqliteStore(folder: string, options: SqliteOptions = {}): Promise<Store> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, FILE);
    // Made here and not by SQLite, which would use mode 644 and give it to the log beside it too.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      prepare(database, options);
    } catch (error) {
      database.close();
      throw error;
    }
    return new SqliteStore(database, folder);
  } catch (error) {
    throw refusalOf(error);
  }
}

function prepare(database: DatabaseSync, { maxBytes }: SqliteOptions): void {
  // EXCLUSIVE before the first access: the operating system's lock on the file is the profile's lock, and it dies with the process.
  database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN EXCLUSIVE; COMMIT");
  database.exec("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA secure_delete = ON");
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version > VERSION) throw storeRefusal("version_unsupported", "newer");
  if (version < VERSION) {
    const tables = TABLES.map((table) => `CREATE TABLE ${table} (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT`);
    database.exec(`BEGIN; ${tables.join("; ")}; PRAGMA user_version = ${VERSION}; COMMIT`);
  }
  if (maxBytes !== undefined) {
    const { page_size: pageSize } = database.prepare("PRAGMA page_size").get() as { page_size: number };
    database.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / pageSize)}`);
  }
  scrub(database);
}

/** Empties the write-ahead log: what was deleted from the tables is overwritten there (secure_delete) but still stands in the log. */
function scrub(database: DatabaseSync): void {
  try {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // Nothing is lost: the log stays as it is and the next scrub tries again.
  }
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #folder: string;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, folder: string) {
    this.#database = database;
    this.#folder = folder;
  }

  async get(table: Table, key: string): Promise<Entry["value"] | undefined> {
    const found = this.#run(`SELECT value FROM ${table} WHERE key = ?`, (query) => query.get(checkKey(key)));
    return found?.value as Entry["value"] | undefined;
  }

  async scan(table: Table, range: Range = {}): Promise<Entry[]> {
    const bounds = boundsOf(range);
    const order = range.reverse === true ? "DESC" : "ASC";
    const sql = `SELECT key, value FROM ${table} WHERE key >= ? AND key < ? ORDER BY key ${order} LIMIT ?`;
    return this.#run(sql, (query) => {
      if (bounds === null) return [];
      const rows = query.all(bounds.from, bounds.to, range.limit ?? -1) as unknown as Entry[];
      return rows.map(({ key, value }) => ({ key, value }));
    });
  }

  async write(writes: readonly Write[]): Promise<void> {
    for (const { key } of writes) checkKey(key);
    this.#run("BEGIN IMMEDIATE", (begin) => begin.run());
    try {
      for (const write of writes) this.#apply(write);
      this.#run("COMMIT", (commit) => commit.run());
    } catch (error) {
      // Some errors have rolled back already (sqlite.org/lang_transaction.html §3.2).
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
    if (writes.some(({ value }) => value === null)) scrub(this.#database);
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  async destroy(): Promise<void> {
    await this.close();
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(join(this.#folder, FILE + suffix), { force: true });
    try {
      rmdirSync(this.#folder);
    } catch {
      // It holds something of the user's own.
    }
  }

  #apply({ table, key, value }: Write): void {
    if (value === null) this.#run(`DELETE FROM ${table} WHERE key = ?`, (query) => query.run(key));
    else {
      const sql = `INSERT INTO ${table} (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
      this.#run(sql, (query) => query.run(key, value));
    }
  }

  #run<Result>(sql: string, use: (statement: StatementSync) => Result): Result {
    if (!this.#database.isOpen) throw storeRefusal("unavailable", "closed");
    try {
      const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
      this.#statements.set(sql, statement);
      return use(statement);
    } catch (error) {
      throw refusalOf(error);
    }
  }
}

/** Turns an error of SQLite or of the file system into a refusal; any other is a bug and stays what it is. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { errcode, code } = error as { errcode?: number; code?: string };
  if (errcode !== undefined) {
    const primary = errcode & 0xff;
    if (primary === BUSY) return storeRefusal("conflict", "in_use");
    if (primary === FULL) return storeRefusal("quota", "full");
    if (primary === CORRUPT || primary === NOT_A_DATABASE) return storeRefusal("unavailable", "damaged");
    return storeRefusal("unavailable", `sqlite ${errcode}`);
  }
  if (code === "ENOSPC" || code === "EDQUOT") return storeRefusal("quota", "full");
  return "syscall" in error && code !== undefined ? storeRefusal("unavailable", code) : error;
}
