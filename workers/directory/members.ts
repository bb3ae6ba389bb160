// Owns the table of members: the people of a tenant, their role and their identity key.

import * as v from "valibot";
import { InviteId, MemberId, type TenantId } from "../../schemas/ids.ts";
import { Role } from "../../schemas/policy.ts";
import { rowsOf, run } from "./database.ts";

const MemberRow = v.pipe(
  v.object({
    id: MemberId,
    name: v.string(),
    role: Role,
    identity_key: v.string(),
    invite_id: v.nullable(InviteId),
    created_at: v.number(),
    removed_at: v.nullable(v.number()),
  }),
  v.transform((row) => ({
    id: row.id,
    name: row.name,
    role: row.role,
    identityKey: row.identity_key,
    inviteId: row.invite_id,
    createdAt: row.created_at,
    removedAt: row.removed_at,
  })),
);
export type MemberRow = v.InferOutput<typeof MemberRow>;

export interface NewMember {
  readonly id: MemberId;
  readonly name: string;
  readonly identityKey: string;
  readonly now: number;
}

/** Makes the owner of a tenant that has no member yet. */
export function insertOwner(tenant: TenantId, db: D1Database, member: NewMember): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO members (tenant_id, id, name, role, identity_key, created_at)
       SELECT ?1, ?2, ?3, 'owner', ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM members WHERE tenant_id = ?1)`,
    )
    .bind(tenant, member.id, member.name, member.identityKey, member.now);
}

/**
 * Makes a member by an invite, unless the invite is revoked, expired or used up, its tenant is suspended, or the ids are taken.
 * The invite's uses are counted in the same statement: however many join at once, no use is spent twice.
 */
export function insertJoiner(
  tenant: TenantId,
  db: D1Database,
  { member, device, invite }: { readonly member: NewMember; readonly device: string; readonly invite: InviteId },
): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO members (tenant_id, id, name, role, identity_key, invite_id, created_at)
       SELECT ?1, ?2, ?3, invites.role, ?4, invites.id, ?5
         FROM invites JOIN tenants ON tenants.id = invites.tenant_id
        WHERE invites.tenant_id = ?1 AND invites.id = ?6 AND revoked_at IS NULL AND expires_at > ?5 AND suspended_at IS NULL
          AND uses > (SELECT COUNT(*) FROM members WHERE tenant_id = ?1 AND invite_id = ?6)
          AND NOT EXISTS (SELECT 1 FROM devices WHERE tenant_id = ?1 AND id = ?7)
       ON CONFLICT DO NOTHING`,
    )
    .bind(tenant, member.id, member.name, member.identityKey, member.now, invite, device);
}

/** Asks for the member of this id, also a removed one. */
export function selectMember(tenant: TenantId, db: D1Database, member: MemberId): D1PreparedStatement {
  return db.prepare("SELECT * FROM members WHERE tenant_id = ? AND id = ?").bind(tenant, member);
}

/** Reads what {@link selectMember} has asked for. */
export function readMember(row: unknown): MemberRow | undefined {
  return row === undefined ? undefined : v.parse(MemberRow, row);
}

/** The member of this id, also a removed one. @throws {Refusal} unavailable */
export async function findMember(tenant: TenantId, db: D1Database, member: MemberId): Promise<MemberRow | undefined> {
  const [row] = await rowsOf(db, selectMember(tenant, db, member));
  return readMember(row);
}

/** Everybody, also removed members: their names stand beside what they wrote. @throws {Refusal} unavailable */
export async function listMembers(tenant: TenantId, db: D1Database): Promise<readonly MemberRow[]> {
  const rows = await rowsOf(
    db,
    db.prepare("SELECT * FROM members WHERE tenant_id = ? ORDER BY created_at, id").bind(tenant),
  );
  return rows.map((row) => v.parse(MemberRow, row));
}

/** The owner of a tenant. @throws {Refusal} unavailable */
export async function findOwner(tenant: TenantId, db: D1Database): Promise<MemberRow | undefined> {
  const statement = db.prepare("SELECT * FROM members WHERE tenant_id = ? AND role = 'owner'");
  return readMember((await rowsOf(db, statement.bind(tenant)))[0]);
}

/** The ids of at most `limit` members who are in. @throws {Refusal} unavailable */
export async function listActive(tenant: TenantId, db: D1Database, limit: number): Promise<readonly MemberId[]> {
  const statement = db.prepare("SELECT id FROM members WHERE tenant_id = ? AND removed_at IS NULL LIMIT ?");
  return (await rowsOf(db, statement.bind(tenant, limit))).map(({ id }) => v.parse(MemberId, id));
}

/** Changes a member's role, never the owner's. One that may no longer invite takes its open invites with it. @throws {Refusal} unavailable */
export async function setRole(
  tenant: TenantId,
  db: D1Database,
  { member, role, now }: { readonly member: MemberId; readonly role: "admin" | "member"; readonly now: number },
): Promise<void> {
  const update = db
    .prepare("UPDATE members SET role = ? WHERE tenant_id = ? AND id = ? AND role <> 'owner' AND removed_at IS NULL")
    .bind(role, tenant, member);
  await run(db, role === "admin" ? [update] : [update, revokeInvitesOf(tenant, db, { member, now })]);
}

/** Takes a member, all its devices and the invites it made out of the tenant at once; never the owner. @throws {Refusal} unavailable */
export async function removeMember(
  tenant: TenantId,
  db: D1Database,
  { member, now }: { readonly member: MemberId; readonly now: number },
): Promise<void> {
  await run(db, [
    db
      .prepare(
        "UPDATE members SET removed_at = ? WHERE tenant_id = ? AND id = ? AND role <> 'owner' AND removed_at IS NULL",
      )
      .bind(now, tenant, member),
    // The removal of a member takes its devices along, so there is nothing to expel them from one by one.
    db
      .prepare(
        `UPDATE devices SET revoked_at = coalesce(revoked_at, ?1), expelled_at = coalesce(expelled_at, ?1)
          WHERE tenant_id = ?2 AND member_id = ?3
            AND EXISTS (SELECT 1 FROM members WHERE tenant_id = ?2 AND id = ?3 AND removed_at IS NOT NULL)`,
      )
      .bind(now, tenant, member),
    revokeInvitesOf(tenant, db, { member, now }),
  ]);
}

/** Notes that the mailbox has taken the removal over, and takes the member out of every list. @throws {Refusal} unavailable */
export async function closeMember(
  tenant: TenantId,
  db: D1Database,
  { member, now }: { readonly member: MemberId; readonly now: number },
): Promise<void> {
  await run(db, [
    db
      .prepare("UPDATE participants SET removed_at = ? WHERE tenant_id = ? AND member_id = ? AND removed_at IS NULL")
      .bind(now, tenant, member),
    db
      .prepare("UPDATE members SET closed_at = ? WHERE tenant_id = ? AND id = ? AND removed_at IS NOT NULL")
      .bind(now, tenant, member),
  ]);
}

/** Removed members whose mailbox has not confirmed yet. @throws {Refusal} unavailable */
export async function listUnclosed(tenant: TenantId, db: D1Database): Promise<readonly MemberId[]> {
  const statement = db.prepare(
    "SELECT id FROM members WHERE tenant_id = ? AND removed_at IS NOT NULL AND closed_at IS NULL LIMIT 10",
  );
  return (await rowsOf(db, statement.bind(tenant))).map(({ id }) => v.parse(MemberId, id));
}

function revokeInvitesOf(
  tenant: TenantId,
  db: D1Database,
  { member, now }: { readonly member: MemberId; readonly now: number },
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE invites SET revoked_at = ?1 WHERE tenant_id = ?2 AND (created_by = ?3 OR member_id = ?3) AND revoked_at IS NULL
          AND EXISTS (SELECT 1 FROM members WHERE tenant_id = ?2 AND id = ?3 AND role <> 'owner')`,
    )
    .bind(now, tenant, member);
}
