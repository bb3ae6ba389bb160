// Owns how a further device of a member gets into the table of devices: each permission lets in one, and nobody has too many.

import * as v from "valibot";
import type { DeviceId, GrantId, MemberId, TenantId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { run } from "./database.ts";
import { readDevice, selectDevice } from "./devices.ts";
import { type Deposit, depositShare } from "./shares.ts";

interface FurtherDevice {
  readonly grant: GrantId;
  readonly member: MemberId;
  readonly id: DeviceId;
  readonly name: string;
  readonly signatureKey: string;
  readonly certificate: string;
  readonly share?: Deposit | undefined;
  /** The key that has certified it, which may have been replaced meanwhile. */
  readonly identityKey: string;
  readonly now: number;
}

const Outcome = v.object({ used: v.number(), full: v.number() });

/**
 * Lets a device in by a permission. `in`: it is in, by this call or an equal one before; `used`: the permission has let in another, or
 * the device's id is taken; `full`: the member has as many devices as anybody may; `out`: the member has been removed, or has another identity key by now.
 * @throws {Refusal} unavailable
 */
export async function admitDevice(
  tenant: TenantId,
  db: D1Database,
  device: FurtherDevice,
): Promise<"in" | "used" | "full" | "out"> {
  const { grant, member, id, name, signatureKey, certificate, identityKey, share, now } = device;
  const active = `(SELECT COUNT(*) FROM devices WHERE tenant_id = ?1 AND member_id = ?3 AND revoked_at IS NULL)`;
  const results = await run(db, [
    db
      .prepare(
        `INSERT INTO devices (tenant_id, id, member_id, name, signature_key, certificate, created_at, last_used_at, admitted_by)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8 FROM members
          WHERE tenant_id = ?1 AND id = ?3 AND identity_key = ?10 AND removed_at IS NULL AND ${active} < ?9
         ON CONFLICT DO NOTHING`,
      )
      .bind(tenant, id, member, name, signatureKey, certificate, now, grant, LIMITS.devicesPerMember, identityKey),
    ...(share === undefined ? [] : depositShare(tenant, db, { ...share, device: id, signatureKey })),
    selectDevice(tenant, db, id),
    db
      .prepare(
        `SELECT EXISTS (SELECT 1 FROM devices WHERE tenant_id = ?1 AND (admitted_by = ?2 OR id = ?5)) AS used,
                ${active} >= ?4 AS full`,
      )
      .bind(tenant, grant, member, LIMITS.devicesPerMember, id),
  ]);
  const [rows = [], outcomes = []] = results.slice(-2);
  const kept = readDevice(rows[0]);
  const admittedBy = rows[0]?.admitted_by;
  const same =
    kept?.memberId === member &&
    kept.name === name &&
    kept.signatureKey === signatureKey &&
    kept.certificate === certificate &&
    admittedBy === grant;
  if (same) return "in";
  const { used, full } = v.parse(Outcome, outcomes[0]);
  if (used === 1) return "used";
  return full === 1 ? "full" : "out";
}
