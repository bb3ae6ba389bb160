// Owns a member's key packages in the mailbox's SQLite: each is handed out once, except a device's last resort. Knows nothing of MLS.

import { sha256 } from "@noble/hashes/sha2.js";
import type { DeviceId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";

/** A key package as its device brings it; `expiresAt` in ms. */
export interface KeyPackage {
  readonly bytes: Uint8Array;
  readonly expiresAt: number;
  readonly lastResort: boolean;
}

/** How many one-time packages a device has left, and whether it has a last resort. */
export interface Stock {
  readonly stock: number;
  readonly lastResort: boolean;
}

// The digest of a package that was handed out stays until it expires, so that a repeated request does not stock it again
const TABLE = `
  CREATE TABLE IF NOT EXISTS key_packages (
    n INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, bytes BLOB,
    expires_at INTEGER NOT NULL, last_resort INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS key_packages_device ON key_packages (device, last_resort, n);`;

/** The key packages of all devices of one member. Times in ms. */
export class KeyPackages {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLE);
  }

  /** Adds packages; one that is known or has expired is passed over, a last resort replaces the one before. @throws {Refusal} quota — more than a device may keep */
  add(device: DeviceId, packages: readonly KeyPackage[], now: number): void {
    this.#sql.exec("DELETE FROM key_packages WHERE expires_at <= ?", now);
    for (const item of packages) if (item.expiresAt > now) this.#addOne(device, item);
    if (this.stock(device, now).stock > LIMITS.keyPackagesPerDevice)
      throw new Refusal("quota", { limit: LIMITS.keyPackagesPerDevice });
  }

  stock(device: DeviceId, now: number): Stock {
    const count =
      "SELECT count(*) AS count FROM key_packages WHERE device = ? AND last_resort = ? AND bytes IS NOT NULL AND expires_at > ?";
    const [once, last] = [0, 1].map((kind) => this.#sql.exec<{ count: number }>(count, device, kind, now).one().count);
    return { stock: once ?? 0, lastResort: (last ?? 0) > 0 };
  }

  /** Hands out the device's oldest package for good, its last resort when there is no other; `undefined` when there is neither. */
  take(device: DeviceId, now: number): Uint8Array | undefined {
    const [row] = this.#sql
      .exec<{ n: number; bytes: ArrayBuffer; last_resort: number }>(
        `SELECT n, bytes, last_resort FROM key_packages WHERE device = ? AND bytes IS NOT NULL AND expires_at > ?
         ORDER BY last_resort, n LIMIT 1`,
        device,
        now,
      )
      .toArray();
    if (row === undefined) return undefined;
    if (row.last_resort === 0) this.#sql.exec("UPDATE key_packages SET bytes = NULL WHERE n = ?", row.n);
    return new Uint8Array(row.bytes);
  }

  /** Forgets all packages of a device. */
  drop(device: DeviceId): void {
    this.#sql.exec("DELETE FROM key_packages WHERE device = ?", device);
  }

  #addOne(device: DeviceId, { bytes, expiresAt, lastResort }: KeyPackage): void {
    const { rowsWritten } = this.#sql.exec(
      "INSERT OR IGNORE INTO key_packages (device, digest, bytes, expires_at, last_resort) VALUES (?, ?, ?, ?, ?)",
      device,
      sha256(bytes),
      bytes,
      expiresAt,
      lastResort ? 1 : 0,
    );
    if (!lastResort || rowsWritten === 0) return;
    const older =
      "DELETE FROM key_packages WHERE device = ? AND last_resort = 1 AND n < (SELECT max(n) FROM key_packages WHERE device = ? AND last_resort = 1)";
    this.#sql.exec(older, device, device);
  }
}
