// Looks at what a server has written: every file of its state folder, and the logs inside. Reads only.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toBase64url } from "../../schemas/bytes.ts";
import { readHeader } from "../../schemas/envelope.ts";
import type { Row } from "./checker.ts";

/** Paths of all files in a folder and below. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The whole content of every file in a folder and below, by path; without those that go while it looks, as SQLite's `-wal` and `-shm` do. */
export function contentsOf(folder: string): ReadonlyMap<string, Buffer> {
  const contents = new Map<string, Buffer>();
  for (const path of filesIn(folder)) {
    try {
      contents.set(path, readFileSync(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return contents;
}

/** A row of a conversation's log as the server keeps it. `bytes` is null once destroyed. */
export interface StoredRow extends Row {
  readonly bytes: Uint8Array | null;
}

/** Every conversation's log that still has rows, each in seq order. Rows that everybody has passed are gone: they come without id and bytes. */
export function readLogs(state: string): readonly (readonly StoredRow[])[] {
  return filesIn(state)
    .filter((path) => path.endsWith(".sqlite"))
    .map(readLog)
    .filter((rows) => rows.length > 0);
}

function readLog(path: string): readonly StoredRow[] {
  // A server that runs may be tidying up, and writes on between two queries
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  try {
    database.exec("BEGIN");
    const tables = database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'log_head'").get();
    if (tables?.n !== 1) return [];
    const base = Number(database.prepare("SELECT base_seq FROM log_head").get()?.base_seq);
    const dropped = Array.from({ length: base }, (_, row) => ({ seq: row + 1, mid: null, digest: null, bytes: null }));
    const rows = database.prepare("SELECT seq, id, bytes FROM log ORDER BY seq").all();
    if (rows.length === 0) return [];
    return [...dropped, ...rows.map((row) => rowOf(row as { seq: number; id: Uint8Array; bytes: Uint8Array | null }))];
  } finally {
    database.close();
  }
}

function rowOf({ seq, id, bytes }: { seq: number; id: Uint8Array; bytes: Uint8Array | null }): StoredRow {
  const header = bytes === null ? undefined : readHeader(bytes);
  const mid = header?.kind === "commit" ? null : toBase64url(id);
  return { seq, mid, digest: null, bytes, ...(header?.kind === "commit" && { commits: header.epoch }) };
}
