// Owns the leaves and perfect subtrees of one key log, in its object's SQLite. Rows are added and never changed. Knows no events.

import {
  completedBy,
  consistencyProof,
  type Hash,
  inclusionProof,
  leafHash,
  type NodeAt,
  rootAt,
} from "../../schemas/merkle.ts";

const TABLES = `
  CREATE TABLE IF NOT EXISTS leaves (place INTEGER PRIMARY KEY, n INTEGER NOT NULL UNIQUE, bytes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS nodes (level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, place)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS leaves_by_hash ON nodes (hash) WHERE level = 0;`;

/** The tree of one log. */
export class Tree {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  get size(): number {
    return this.#sql.exec<{ size: number }>("SELECT coalesce(max(place) + 1, 0) AS size FROM leaves").one().size;
  }

  /** Number of the newest leaf's event; 0 before the first. */
  get newest(): number {
    return this.#sql.exec<{ n: number }>("SELECT coalesce(max(n), 0) AS n FROM leaves").one().n;
  }

  /** Adds a leaf for event `n`, unless that event or a later one has its leaf already. Call within a transaction. */
  append(n: number, bytes: Uint8Array): void {
    if (n <= this.newest) return;
    const place = this.size;
    this.#sql.exec("INSERT INTO leaves VALUES (?, ?, ?)", place, n, bytes);
    for (const [level, hash] of completedBy(leafHash(bytes), place, this.#nodeAt).entries()) {
      this.#sql.exec("INSERT INTO nodes VALUES (?, ?, ?)", level, Math.floor(place / 2 ** level), hash);
    }
  }

  root(size: number): Hash {
    return rootAt(size, this.#nodeAt);
  }

  /** At most `limit` leaves from `from` on. */
  leaves(from: number, limit: number): Uint8Array[] {
    const rows = this.#sql.exec<{ bytes: ArrayBuffer }>(
      "SELECT bytes FROM leaves WHERE place >= ? ORDER BY place LIMIT ?",
      from,
      limit,
    );
    return [...rows].map(({ bytes }) => new Uint8Array(bytes));
  }

  /** Where a leaf with this hash is in the tree of `size` leaves, and the proof; undefined when it is not. */
  prove(hash: Uint8Array, size: number): { index: number; proof: Hash[] } | undefined {
    const [row] = this.#sql
      .exec<{ place: number }>("SELECT place FROM nodes WHERE level = 0 AND hash = ? AND place < ?", hash, size)
      .toArray();
    return row && { index: row.place, proof: inclusionProof(row.place, size, this.#nodeAt) };
  }

  /** Proof that the tree of `second` leaves goes on from that of `first`. */
  proveGrowth(first: number, second: number): Hash[] {
    return consistencyProof(first, second, this.#nodeAt);
  }

  readonly #nodeAt: NodeAt = (level, place) => {
    const { hash } = this.#sql
      .exec<{ hash: ArrayBuffer }>("SELECT hash FROM nodes WHERE level = ? AND place = ?", level, place)
      .one();
    return new Uint8Array(hash);
  };
}
