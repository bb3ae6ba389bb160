// Owns how a member who lost everything comes back into the tables: another identity key and one device, by an invite that is for this member.
// What goes with the old key, the database itself takes along.

import * as v from "valibot";
import { type DeviceId, type InviteId, MemberId, type TenantId } from "../../schemas/ids.ts";
import { rowsOf, run } from "./database.ts";
import { readDevice, selectDevice } from "./devices.ts";
import { type Deposit, depositShare } from "./shares.ts";

interface Return {
  readonly invite: InviteId;
  readonly member: MemberId;
  readonly identityKey: string;
  readonly device: {
    readonly id: DeviceId;
    readonly name: string;
    readonly signatureKey: string;
    readonly certificate: string;
    readonly share?: Deposit | undefined;
  };
  readonly now: number;
}

/**
 * Lets a member in again, in one transaction. True when the device is in by this invite, by this call or by an equal one before; false when the invite
 * has let in another, is not for this member or not open, or an id is taken. @throws {Refusal} unavailable
 */
export async function returnMember(tenant: TenantId, db: D1Database, entry: Return): Promise<boolean> {
  const { invite, member, identityKey, device, now } = entry;
  const isUsed = "EXISTS (SELECT 1 FROM devices WHERE tenant_id = ?1 AND (admitted_by = ?2 OR id = ?5))";
  const { share, signatureKey } = device;
  const results = await run(db, [
    db
      .prepare(
        `UPDATE members SET identity_key = ?4, returned_at = ?6, emptied_at = NULL
          WHERE tenant_id = ?1 AND id = ?3 AND removed_at IS NULL AND NOT ${isUsed}
            AND EXISTS (SELECT 1 FROM invites JOIN tenants ON tenants.id = invites.tenant_id
                         WHERE invites.id = ?2 AND invites.tenant_id = ?1 AND invites.member_id = ?3
                           AND (members.role <> 'owner' OR created_by IS NULL)
                           AND revoked_at IS NULL AND expires_at > ?6 AND suspended_at IS NULL)`,
      )
      .bind(tenant, invite, member, identityKey, device.id, now),
    db
      .prepare(
        `INSERT INTO devices (tenant_id, id, member_id, name, signature_key, certificate, created_at, last_used_at, admitted_by)
         SELECT ?1, ?5, ?3, ?7, ?8, ?9, ?6, ?6, ?2 FROM members
          WHERE tenant_id = ?1 AND id = ?3 AND identity_key = ?4 AND returned_at = ?6 AND NOT ${isUsed}
         ON CONFLICT DO NOTHING`,
      )
      .bind(tenant, invite, member, identityKey, device.id, now, device.name, device.signatureKey, device.certificate),
    ...(share === undefined ? [] : depositShare(tenant, db, { ...share, device: device.id, signatureKey })),
    // Another link for the same member is of no use to whoever may have it
    db
      .prepare(
        `UPDATE invites SET revoked_at = ?4 WHERE tenant_id = ?1 AND member_id = ?3 AND id <> ?2 AND revoked_at IS NULL
            AND EXISTS (SELECT 1 FROM devices WHERE tenant_id = ?1 AND admitted_by = ?2)`,
      )
      .bind(tenant, invite, member, now),
    selectDevice(tenant, db, device.id),
  ]);
  const row = results.at(-1)?.[0];
  const kept = readDevice(row);
  return (
    kept?.memberId === member &&
    row?.admitted_by === invite &&
    kept.name === device.name &&
    kept.signatureKey === device.signatureKey &&
    kept.certificate === device.certificate
  );
}

/** Members whose vault still holds what was there before they came back, with when that was. @throws {Refusal} unavailable */
export async function listUnemptied(
  tenant: TenantId,
  db: D1Database,
): Promise<readonly { readonly member: MemberId; readonly returnedAt: number }[]> {
  const statement = db.prepare(
    "SELECT id, returned_at FROM members WHERE tenant_id = ? AND returned_at IS NOT NULL AND emptied_at IS NULL LIMIT 10",
  );
  const Pending = v.object({ id: MemberId, returned_at: v.number() });
  return (await rowsOf(db, statement.bind(tenant))).map((row) => {
    const { id: member, returned_at: returnedAt } = v.parse(Pending, row);
    return { member, returnedAt };
  });
}

/** Notes that what was in a vault before `returnedAt` is destroyed. @throws {Refusal} unavailable */
export async function noteEmptied(
  tenant: TenantId,
  db: D1Database,
  { member, returnedAt, now }: { readonly member: MemberId; readonly returnedAt: number; readonly now: number },
): Promise<void> {
  const statement = db.prepare("UPDATE members SET emptied_at = ? WHERE tenant_id = ? AND id = ? AND returned_at = ?");
  await rowsOf(db, statement.bind(now, tenant, member, returnedAt));
}
