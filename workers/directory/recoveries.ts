// Owns the table of recovery phrases: which member a phrase belongs to, and the public key that proves it.

import * as v from "valibot";
import { MemberId, type PasskeyId, RecoveryId, TenantId } from "../../schemas/ids.ts";
import { Residency, Role } from "../../schemas/policy.ts";
import { rowsOf, run } from "./database.ts";

const RecoveryRow = v.pipe(
  v.object({
    lookup: RecoveryId,
    tenant_id: TenantId,
    member_id: MemberId,
    public_key: v.string(),
    enrolled_at: v.number(),
  }),
  v.transform((row) => ({
    lookup: row.lookup,
    tenant: row.tenant_id,
    member: row.member_id,
    publicKey: row.public_key,
    enrolledAt: row.enrolled_at,
  })),
);
type RecoveryRow = v.InferOutput<typeof RecoveryRow>;

const Owner = v.pipe(
  v.object({
    tenant_name: v.string(),
    residency: Residency,
    suspended_at: v.nullable(v.number()),
    name: v.string(),
    role: Role,
    identity_key: v.string(),
    removed_at: v.nullable(v.number()),
  }),
  v.transform((row) => ({
    tenantName: row.tenant_name,
    residency: row.residency,
    suspended: row.suspended_at !== null,
    name: row.name,
    role: row.role,
    identityKey: row.identity_key,
    removed: row.removed_at !== null,
  })),
);
/** A phrase's row together with how its member and tenant stand. */
export type OpenedRecovery = RecoveryRow & v.InferOutput<typeof Owner>;

/**
 * Puts a phrase to a member's name, in place of any earlier one. False when the lookup id is taken by somebody else or with another key.
 * @throws {Refusal} unavailable
 */
export async function enrolRecovery(
  tenant: TenantId,
  db: D1Database,
  {
    member,
    lookup,
    publicKey,
    now,
  }: { readonly member: MemberId; readonly lookup: RecoveryId; readonly publicKey: string; readonly now: number },
): Promise<boolean> {
  const [, , rows = []] = await run(db, [
    db
      .prepare(
        `DELETE FROM recoveries WHERE tenant_id = ?1 AND member_id = ?2
            AND NOT EXISTS (SELECT 1 FROM recoveries WHERE lookup = ?3)`,
      )
      .bind(tenant, member, lookup),
    db
      .prepare(
        `INSERT INTO recoveries (lookup, tenant_id, member_id, public_key, enrolled_at)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      )
      .bind(lookup, tenant, member, publicKey, now),
    db
      .prepare("SELECT 1 FROM recoveries WHERE lookup = ? AND tenant_id = ? AND member_id = ? AND public_key = ?")
      .bind(lookup, tenant, member, publicKey),
  ]);
  return rows.length > 0;
}

/** The phrase a member has enrolled. @throws {Refusal} unavailable */
export async function findRecovery(
  tenant: TenantId,
  db: D1Database,
  member: MemberId,
): Promise<RecoveryRow | undefined> {
  const statement = db.prepare("SELECT * FROM recoveries WHERE tenant_id = ? AND member_id = ?");
  const [row] = await rowsOf(db, statement.bind(tenant, member));
  return row && v.parse(RecoveryRow, row);
}

/** Forgets a member's phrase: it opens nothing any more. @throws {Refusal} unavailable */
export async function dropRecovery(tenant: TenantId, db: D1Database, member: MemberId): Promise<void> {
  await rowsOf(db, db.prepare("DELETE FROM recoveries WHERE tenant_id = ? AND member_id = ?").bind(tenant, member));
}

/**
 * Whose phrase this is; with a passkey only while that stands beside it. Asks without a tenant, because its caller knows none yet: the phrase is what names it.
 * @throws {Refusal} unavailable
 */
export async function openRecovery(
  db: D1Database,
  { lookup, passkey = null }: { readonly lookup: RecoveryId; readonly passkey?: PasskeyId | null },
): Promise<OpenedRecovery | undefined> {
  const statement = db.prepare(
    `SELECT recoveries.*, members.name, members.role, members.identity_key, members.removed_at,
            tenants.name AS tenant_name, tenants.residency, tenants.suspended_at
       FROM recoveries
       JOIN members ON members.tenant_id = recoveries.tenant_id AND members.id = recoveries.member_id
       JOIN tenants ON tenants.id = recoveries.tenant_id
      WHERE recoveries.lookup = ?1
        AND (?2 IS NULL OR EXISTS (SELECT 1 FROM passkeys WHERE passkeys.id = ?2 AND passkeys.lookup = ?1))`,
  );
  const [row] = await rowsOf(db, statement.bind(lookup, passkey));
  return row && { ...v.parse(RecoveryRow, row), ...v.parse(Owner, row) };
}
