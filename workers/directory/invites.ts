// Owns the table of invites. Of an invite's secret it keeps only the SHA-256; uses are counted by the members that name the invite.

import * as v from "valibot";
import { InviteId, MemberId, TenantId } from "../../schemas/ids.ts";
import { Residency, Role } from "../../schemas/policy.ts";
import { rowsOf, run } from "./database.ts";

const shared = {
  id: InviteId,
  role: Role,
  uses: v.number(),
  used: v.number(),
  created_by: v.nullable(MemberId),
  created_at: v.number(),
  expires_at: v.number(),
  revoked_at: v.nullable(v.number()),
  member_id: v.nullable(MemberId),
};
const InviteRow = v.pipe(
  v.object({ ...shared, secret_hash: v.string(), tenant_id: TenantId }),
  v.transform((row) => ({
    id: row.id,
    tenant: row.tenant_id,
    secretHash: row.secret_hash,
    role: row.role,
    uses: row.uses,
    usesLeft: Math.max(0, row.uses - row.used),
    /** Null for the operator, who alone makes one for the owner. */
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    /** Whom it lets in again; null when it is for whoever is new. */
    member: row.member_id,
  })),
);
export type InviteRow = v.InferOutput<typeof InviteRow>;

const OpenedInvite = v.object({
  tenant_name: v.string(),
  inviter: v.nullable(v.string()),
  residency: Residency,
  suspended_at: v.nullable(v.number()),
  member_name: v.nullable(v.string()),
  member_role: v.nullable(Role),
});
/** An invite together with what its holder may know of the tenant. */
export type OpenedInvite = InviteRow & {
  readonly tenantName: string;
  readonly inviter: string | null;
  readonly residency: Residency;
  readonly suspended: boolean;
  /** Whom it lets in again, as they are called now. */
  readonly returning: { readonly id: MemberId; readonly name: string } | null;
};

const COLUMNS = `invites.*, (SELECT COUNT(*) FROM members
  WHERE members.tenant_id = invites.tenant_id AND members.invite_id = invites.id) + (SELECT COUNT(*) FROM devices
  WHERE devices.tenant_id = invites.tenant_id AND devices.admitted_by = invites.id) AS used`;

export type NewInvite = Pick<
  InviteRow,
  "id" | "secretHash" | "role" | "uses" | "createdBy" | "createdAt" | "expiresAt" | "member"
>;

/** Makes an invite unless one of this id exists, and returns the one that does. @throws {Refusal} unavailable */
export async function insertInvite(tenant: TenantId, db: D1Database, invite: NewInvite): Promise<InviteRow> {
  const [, rows = []] = await run(db, [
    db
      .prepare(
        `INSERT INTO invites (id, tenant_id, secret_hash, role, uses, created_by, created_at, expires_at, member_id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      )
      .bind(
        invite.id,
        tenant,
        invite.secretHash,
        invite.role,
        invite.uses,
        invite.createdBy,
        invite.createdAt,
        invite.expiresAt,
        invite.member,
      ),
    db.prepare(`SELECT ${COLUMNS} FROM invites WHERE id = ?`).bind(invite.id),
  ]);
  return v.parse(InviteRow, rows[0]);
}

/** The tenant's invites, newest first. @throws {Refusal} unavailable */
export async function listInvites(tenant: TenantId, db: D1Database): Promise<readonly InviteRow[]> {
  const statement = db.prepare(
    `SELECT ${COLUMNS} FROM invites WHERE tenant_id = ? ORDER BY created_at DESC LIMIT 1000`,
  );
  return (await rowsOf(db, statement.bind(tenant))).map((row) => v.parse(InviteRow, row));
}

/** Revokes an invite; false when the tenant has none of this id. @throws {Refusal} unavailable */
export async function revokeInvite(
  tenant: TenantId,
  db: D1Database,
  { invite, now }: { readonly invite: InviteId; readonly now: number },
): Promise<boolean> {
  const statement = db.prepare(
    "UPDATE invites SET revoked_at = coalesce(revoked_at, ?) WHERE tenant_id = ? AND id = ? RETURNING id",
  );
  return (await rowsOf(db, statement.bind(now, tenant, invite))).length > 0;
}

/**
 * The invite whose secret has this hash. The only query without a tenant: its caller belongs to none yet, and the secret
 * is what names the tenant. @throws {Refusal} unavailable
 */
export async function openInvite(
  db: D1Database,
  { invite, secretHash }: { readonly invite: InviteId; readonly secretHash: string },
): Promise<OpenedInvite | undefined> {
  const statement = db.prepare(
    `SELECT ${COLUMNS}, tenants.name AS tenant_name, tenants.residency, tenants.suspended_at, inviters.name AS inviter,
            comers.name AS member_name, comers.role AS member_role
       FROM invites
       JOIN tenants ON tenants.id = invites.tenant_id
       LEFT JOIN members AS inviters ON inviters.tenant_id = invites.tenant_id AND inviters.id = invites.created_by
       LEFT JOIN members AS comers ON comers.tenant_id = invites.tenant_id AND comers.id = invites.member_id
      WHERE invites.id = ? AND secret_hash = ?`,
  );
  const [row] = await rowsOf(db, statement.bind(invite, secretHash));
  if (row === undefined) return undefined;
  const { tenant_name: tenantName, inviter, residency, suspended_at, ...named } = v.parse(OpenedInvite, row);
  const kept = v.parse(InviteRow, row);
  const { member_name: name, member_role: role } = named;
  return {
    ...kept,
    ...(role !== null && { role }),
    tenantName,
    inviter,
    residency,
    suspended: suspended_at !== null,
    returning: kept.member !== null && name !== null ? { id: kept.member, name } : null,
  };
}
