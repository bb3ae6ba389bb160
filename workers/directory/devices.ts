// Owns the table of devices and the one question every signed-in request asks: how does this device stand?

import * as v from "valibot";
import { DeviceKind } from "../../schemas/api.ts";
import { DeviceId, GrantId, MemberId, type TenantId } from "../../schemas/ids.ts";
import { Residency, Role } from "../../schemas/policy.ts";
import { rowsOf } from "./database.ts";
import { StoredPolicy } from "./tenants.ts";

const DeviceRow = v.pipe(
  v.object({
    id: DeviceId,
    member_id: MemberId,
    name: v.string(),
    signature_key: v.string(),
    certificate: v.string(),
    created_at: v.number(),
    last_used_at: v.number(),
    revoked_at: v.nullable(v.number()),
    kind: v.nullable(DeviceKind),
    admitted_by: v.nullable(GrantId),
  }),
  v.transform((row) => ({
    id: row.id,
    memberId: row.member_id,
    name: row.name,
    signatureKey: row.signature_key,
    certificate: row.certificate,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
    kind: row.kind,
    admittedBy: row.admitted_by,
  })),
);
export type DeviceRow = v.InferOutput<typeof DeviceRow>;

const Standing = v.pipe(
  v.object({
    member_id: MemberId,
    role: Role,
    residency: Residency,
    policy: StoredPolicy,
    revision: v.number(),
    told: v.number(),
    signature_key: v.string(),
    revoked_at: v.nullable(v.number()),
    removed_at: v.nullable(v.number()),
    suspended_at: v.nullable(v.number()),
  }),
  v.transform((row) => ({
    member: row.member_id,
    role: row.role,
    residency: row.residency,
    policy: row.policy,
    revision: row.revision,
    told: row.told === row.revision,
    signatureKey: row.signature_key,
    out: row.revoked_at !== null || row.removed_at !== null,
    suspended: row.suspended_at !== null,
  })),
);
/** How a device, its member and its tenant stand right now. `out`: revoked, or its member removed; `told`: every object has the decree. */
export type Standing = v.InferOutput<typeof Standing>;

/** Makes the first device of a member that has this identity key; never a second one. */
export function insertFirstDevice(
  tenant: TenantId,
  db: D1Database,
  device: {
    readonly id: DeviceId;
    readonly member: MemberId;
    readonly identityKey: string;
    readonly name: string;
    readonly signatureKey: string;
    readonly certificate: string;
    readonly now: number;
  },
): D1PreparedStatement {
  const { id, member, identityKey, name, signatureKey, certificate, now } = device;
  return db
    .prepare(
      `INSERT INTO devices (tenant_id, id, member_id, name, signature_key, certificate, created_at, last_used_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7 FROM members
        WHERE tenant_id = ?1 AND id = ?3 AND identity_key = ?8 AND removed_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM devices WHERE tenant_id = ?1 AND member_id = ?3)
       ON CONFLICT DO NOTHING`,
    )
    .bind(tenant, id, member, name, signatureKey, certificate, now, identityKey);
}

/** Asks for the device of this id. */
export function selectDevice(tenant: TenantId, db: D1Database, device: DeviceId): D1PreparedStatement {
  return db.prepare("SELECT * FROM devices WHERE tenant_id = ? AND id = ?").bind(tenant, device);
}

/** Reads what {@link selectDevice} has asked for. */
export function readDevice(row: unknown): DeviceRow | undefined {
  return row === undefined ? undefined : v.parse(DeviceRow, row);
}

/** The device of this id, also a revoked one. @throws {Refusal} unavailable */
export async function findDevice(tenant: TenantId, db: D1Database, device: DeviceId): Promise<DeviceRow | undefined> {
  const [row] = await rowsOf(db, selectDevice(tenant, db, device));
  return readDevice(row);
}

/** A member's devices, oldest first. @throws {Refusal} unavailable */
export async function listDevices(tenant: TenantId, db: D1Database, member: MemberId): Promise<readonly DeviceRow[]> {
  const statement = db.prepare("SELECT * FROM devices WHERE tenant_id = ? AND member_id = ? ORDER BY created_at, id");
  return (await rowsOf(db, statement.bind(tenant, member))).map((row) => v.parse(DeviceRow, row));
}

/** How a device stands; undefined when there is none. @throws {Refusal} unavailable */
export async function findStanding(tenant: TenantId, db: D1Database, device: DeviceId): Promise<Standing | undefined> {
  const statement = db.prepare(
    `SELECT devices.member_id, devices.signature_key, devices.revoked_at, members.role, members.removed_at,
            tenants.residency, tenants.policy, tenants.revision, tenants.told, tenants.suspended_at
       FROM devices
       JOIN members ON members.tenant_id = devices.tenant_id AND members.id = devices.member_id
       JOIN tenants ON tenants.id = devices.tenant_id
      WHERE devices.tenant_id = ? AND devices.id = ?`,
  );
  const [row] = await rowsOf(db, statement.bind(tenant, device));
  return row && v.parse(Standing, row);
}

/** A device, and when something happened to it, in ms. */
interface Moment {
  readonly device: DeviceId;
  readonly now: number;
}

/** Notes that a device has signed in. @throws {Refusal} unavailable */
export function touchDevice(tenant: TenantId, db: D1Database, { device, now }: Moment): Promise<void> {
  return change(tenant, db, {
    device,
    value: now,
    statement: "UPDATE devices SET last_used_at = ?1 WHERE tenant_id = ?2 AND id = ?3",
  });
}

/** Gives a device another name. @throws {Refusal} unavailable */
export function renameDevice(
  tenant: TenantId,
  db: D1Database,
  { device, name }: { readonly device: DeviceId; readonly name: string },
): Promise<void> {
  return change(tenant, db, {
    device,
    value: name,
    statement: "UPDATE devices SET name = ?1 WHERE tenant_id = ?2 AND id = ?3",
  });
}

/** Notes what a device says it is. @throws {Refusal} unavailable */
export async function describeDevice(
  tenant: TenantId,
  db: D1Database,
  { device, kind }: { readonly device: DeviceId; readonly kind: DeviceKind },
): Promise<void> {
  await rowsOf(db, db.prepare("UPDATE devices SET kind = ? WHERE tenant_id = ? AND id = ?").bind(kind, tenant, device));
}

/** Revokes a device. @throws {Refusal} unavailable */
export function revokeDevice(tenant: TenantId, db: D1Database, { device, now }: Moment): Promise<void> {
  const statement = "UPDATE devices SET revoked_at = ?1 WHERE tenant_id = ?2 AND id = ?3 AND revoked_at IS NULL";
  return change(tenant, db, { device, value: now, statement });
}

/** Notes that the mailbox has taken the revocation over. @throws {Refusal} unavailable */
export function expelDevice(tenant: TenantId, db: D1Database, { device, now }: Moment): Promise<void> {
  const statement = "UPDATE devices SET expelled_at = ?1 WHERE tenant_id = ?2 AND id = ?3 AND revoked_at IS NOT NULL";
  return change(tenant, db, { device, value: now, statement });
}

async function change(
  tenant: TenantId,
  db: D1Database,
  {
    device,
    value,
    statement,
  }: { readonly device: DeviceId; readonly value: number | string; readonly statement: string },
): Promise<void> {
  await rowsOf(db, db.prepare(statement).bind(value, tenant, device));
}

/** Revoked devices whose mailbox has not confirmed yet. @throws {Refusal} unavailable */
export async function listUnexpelled(
  tenant: TenantId,
  db: D1Database,
): Promise<readonly { readonly device: DeviceId; readonly member: MemberId }[]> {
  const statement = db.prepare(
    `SELECT id, member_id FROM devices
      WHERE tenant_id = ? AND revoked_at IS NOT NULL AND expelled_at IS NULL LIMIT 10`,
  );
  const Pending = v.object({ id: DeviceId, member_id: MemberId });
  return (await rowsOf(db, statement.bind(tenant))).map((row) => {
    const { id, member_id: member } = v.parse(Pending, row);
    return { device: id, member };
  });
}

/** Devices revoked at or after `since`: those that may still hold a token. @throws {Refusal} unavailable */
export async function listRevoked(tenant: TenantId, db: D1Database, since: number): Promise<readonly DeviceId[]> {
  const statement = db.prepare("SELECT id FROM devices WHERE tenant_id = ? AND revoked_at >= ?");
  return (await rowsOf(db, statement.bind(tenant, since))).map(({ id }) => v.parse(DeviceId, id));
}
