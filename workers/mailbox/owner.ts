// Owns whose mailbox it is, in the mailbox's SQLite: member, residency, which of the member's devices are in use or revoked,
// and whether its tenant is suspended.

import type { DeviceId, MemberId, TenantId } from "../../schemas/ids.ts";
import type { Residency } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { Decree } from "../decree.ts";

/** The member a mailbox belongs to. */
export interface Home {
  readonly tenant: TenantId;
  readonly residency: Residency;
  readonly member: MemberId;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS owner (one INTEGER PRIMARY KEY CHECK (one = 1), home TEXT NOT NULL, closed INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS devices (device TEXT PRIMARY KEY, revoked INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS decree (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL, suspended INTEGER NOT NULL);`;

/** The owner of one mailbox. */
export class Owner {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  /** @throws {Refusal} not_found — nobody has opened this mailbox */
  get home(): Home {
    const [row] = this.#sql.exec<{ home: string }>("SELECT home FROM owner").toArray();
    if (row === undefined) throw new Refusal("not_found");
    return JSON.parse(row.home) as Home;
  }

  /** Registers a device. The same again changes nothing. @throws {Refusal} device_revoked — it was revoked, or the mailbox closed */
  open({ tenant, residency, member }: Home, device: DeviceId): void {
    this.#sql.exec("INSERT OR IGNORE INTO owner VALUES (1, ?, 0)", JSON.stringify({ tenant, residency, member }));
    if (this.#closed()) throw new Refusal("device_revoked");
    this.#sql.exec("INSERT OR IGNORE INTO devices VALUES (?, 0)", device);
    this.check(device);
  }

  /** @throws {Refusal} not_found — no such device; device_revoked — it was revoked */
  check(device: DeviceId): void {
    const [row] = this.#sql.exec<{ revoked: number }>("SELECT revoked FROM devices WHERE device = ?", device).toArray();
    if (row === undefined) throw new Refusal("not_found");
    if (row.revoked === 1) throw new Refusal("device_revoked");
  }

  /** Devices in use. */
  devices(): DeviceId[] {
    return [...this.#sql.exec("SELECT device FROM devices WHERE revoked = 0").raw<[DeviceId]>()].map(
      ([device]) => device,
    );
  }

  revoke(device: DeviceId): void {
    this.#sql.exec("INSERT OR REPLACE INTO devices VALUES (?, 1)", device);
  }

  /** No device can be registered any more. */
  close(): void {
    this.#sql.exec("UPDATE owner SET closed = 1");
  }

  /** Goes by a decree from now on, also before anybody has opened the mailbox; false when it is no newer than the one that holds. */
  adopt({ revision, suspended }: Pick<Decree, "revision" | "suspended">): boolean {
    const { rowsWritten } = this.#sql.exec(
      `INSERT INTO decree VALUES (1, ?, ?)
       ON CONFLICT DO UPDATE SET revision = excluded.revision, suspended = excluded.suspended WHERE excluded.revision > revision`,
      revision,
      suspended ? 1 : 0,
    );
    return rowsWritten > 0;
  }

  /** Whether the tenant is suspended: nobody of it is served. */
  get suspended(): boolean {
    const [row] = this.#sql.exec<{ suspended: number }>("SELECT suspended FROM decree").toArray();
    return row?.suspended === 1;
  }

  #closed(): boolean {
    return this.#sql.exec<{ closed: number }>("SELECT closed FROM owner").one().closed === 1;
  }
}
