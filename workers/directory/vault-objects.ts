// Owns the table of what lies in vaults: it decides whether there is room, and what has expired. Holds no bytes.

import * as v from "valibot";
import { Shelf } from "../../schemas/api.ts";
import { MemberId, type TenantId, VaultId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { rowsOf, run } from "./database.ts";

const VaultRow = v.pipe(
  v.object({
    id: VaultId,
    shelf: Shelf,
    size: v.number(),
    stored_at: v.number(),
    expires_at: v.nullable(v.number()),
  }),
  v.transform((row) => ({
    id: row.id,
    shelf: row.shelf,
    size: row.size,
    storedAt: row.stored_at,
    expiresAt: row.expires_at,
  })),
);
export type VaultRow = v.InferOutput<typeof VaultRow>;

interface Place {
  readonly member: MemberId;
  readonly shelf: Shelf;
}

/**
 * Makes room for an object, or takes over the room of the one it replaces; returns when it expires, which on a handover's shelf is at the latest
 * {@link LIMITS.handingLife} after the first that lies there was stored. Undefined when the member's vault is full or the id lies on another shelf.
 * However many come at once, the vault does not grow past its limits: it is one statement.
 * @throws {Refusal} unavailable
 */
export async function reserve(
  tenant: TenantId,
  db: D1Database,
  object: Place & {
    readonly id: VaultId;
    readonly size: number;
    readonly expiresAt: number | null;
    readonly now: number;
  },
): Promise<{ readonly expiresAt: number | null } | undefined> {
  const { member, shelf, id, size, expiresAt, now } = object;
  const begun = "(SELECT MIN(stored_at) FROM vault_objects WHERE tenant_id = ?1 AND member_id = ?2 AND shelf = ?4)";
  const statement = db.prepare(
    `INSERT INTO vault_objects (tenant_id, member_id, id, shelf, size, stored_at, expires_at)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6,
            CASE ?4 WHEN 'backup' THEN ?7 ELSE min(coalesce(?7, ?6 + ?10), coalesce(${begun}, ?6) + ?10) END
      WHERE (SELECT COUNT(*) < ?8 AND coalesce(SUM(size), 0) + ?5 <= ?9
               FROM vault_objects WHERE tenant_id = ?1 AND member_id = ?2 AND id <> ?3)
     ON CONFLICT (tenant_id, member_id, id) DO UPDATE
        SET size = excluded.size, stored_at = excluded.stored_at, expires_at = excluded.expires_at
      WHERE shelf = excluded.shelf
     RETURNING expires_at`,
  );
  const limits = [LIMITS.vaultObjects, LIMITS.vaultBytes, LIMITS.handingLife];
  const [row] = await rowsOf(db, statement.bind(tenant, member, id, shelf, size, now, expiresAt, ...limits));
  return row && { expiresAt: v.parse(v.object({ expires_at: v.nullable(v.number()) }), row).expires_at };
}

/** The object of this id on this shelf, unless it has expired. @throws {Refusal} unavailable */
export async function findObject(
  tenant: TenantId,
  db: D1Database,
  { member, shelf, id, now }: Place & { readonly id: VaultId; readonly now: number },
): Promise<VaultRow | undefined> {
  const statement = db.prepare(
    `SELECT * FROM vault_objects WHERE tenant_id = ? AND member_id = ? AND id = ? AND shelf = ?
        AND (expires_at IS NULL OR expires_at > ?)`,
  );
  const [row] = await rowsOf(db, statement.bind(tenant, member, id, shelf, now));
  return row && v.parse(VaultRow, row);
}

/** Whether a member has an object of this id, whatever its shelf and age. @throws {Refusal} unavailable */
export async function holdsObject(
  tenant: TenantId,
  db: D1Database,
  { member, id }: { readonly member: MemberId; readonly id: VaultId },
): Promise<boolean> {
  const statement = db.prepare("SELECT id FROM vault_objects WHERE tenant_id = ? AND member_id = ? AND id = ?");
  return (await rowsOf(db, statement.bind(tenant, member, id))).length > 0;
}

/** What lies on a shelf and has not expired, in no order that means anything. @throws {Refusal} unavailable */
export async function listObjects(
  tenant: TenantId,
  db: D1Database,
  { member, shelf, now }: Place & { readonly now: number },
): Promise<readonly VaultRow[]> {
  const statement = db.prepare(
    `SELECT * FROM vault_objects WHERE tenant_id = ? AND member_id = ? AND shelf = ?
        AND (expires_at IS NULL OR expires_at > ?) ORDER BY id`,
  );
  return (await rowsOf(db, statement.bind(tenant, member, shelf, now))).map((row) => v.parse(VaultRow, row));
}

/** Every object of a member that was stored up to `until`, whatever its shelf. @throws {Refusal} unavailable */
export async function listAllOf(
  tenant: TenantId,
  db: D1Database,
  { member, until }: { readonly member: MemberId; readonly until: number },
): Promise<readonly VaultId[]> {
  const statement = db.prepare("SELECT id FROM vault_objects WHERE tenant_id = ? AND member_id = ? AND stored_at <= ?");
  return (await rowsOf(db, statement.bind(tenant, member, until))).map(({ id }) => v.parse(VaultId, id));
}

/** A tenant's expired objects, some at a time. @throws {Refusal} unavailable */
export async function listExpired(
  tenant: TenantId,
  db: D1Database,
  now: number,
): Promise<readonly { readonly member: MemberId; readonly id: VaultId }[]> {
  const statement = db.prepare(
    "SELECT member_id, id FROM vault_objects WHERE tenant_id = ? AND expires_at <= ? ORDER BY expires_at LIMIT 100",
  );
  return (await rowsOf(db, statement.bind(tenant, now))).map(({ id, member_id }) => ({
    member: v.parse(MemberId, member_id),
    id: v.parse(VaultId, id),
  }));
}

/** A member's expired objects, some at a time. @throws {Refusal} unavailable */
export async function listExpiredOf(
  tenant: TenantId,
  db: D1Database,
  { member, now }: { readonly member: MemberId; readonly now: number },
): Promise<readonly VaultId[]> {
  const statement = db.prepare(
    "SELECT id FROM vault_objects WHERE tenant_id = ? AND member_id = ? AND expires_at <= ? LIMIT 100",
  );
  return (await rowsOf(db, statement.bind(tenant, member, now))).map(({ id }) => v.parse(VaultId, id));
}

/** Gives back the room of objects whose bytes are destroyed. @throws {Refusal} unavailable */
export async function release(
  tenant: TenantId,
  db: D1Database,
  { member, ids }: { readonly member: MemberId; readonly ids: readonly VaultId[] },
): Promise<void> {
  const statement = db.prepare("DELETE FROM vault_objects WHERE tenant_id = ? AND member_id = ? AND id = ?");
  if (ids.length > 0)
    await run(
      db,
      ids.map((id) => statement.bind(tenant, member, id)),
    );
}
