// Owns how a new member with its first device comes in, by sign-up or by invite: the proofs it must bring, and that the same
// admission may be repeated after a lost answer. Knows neither routes nor SQL.

import type * as v from "valibot";
import type { JoinBody } from "../schemas/api.ts";
import { fromBase64url } from "../schemas/bytes.ts";
import { certificatePayload, introductionPayload } from "../schemas/credential.ts";
import type { InviteId, TenantId } from "../schemas/ids.ts";
import { Refusal } from "../schemas/refusal.ts";
import { assertGood, issueToken, verifySignature } from "./auth.ts";
import { sweepDepartures } from "./departures.ts";
import { run } from "./directory/database.ts";
import { findStanding, insertFirstDevice, readDevice, selectDevice } from "./directory/devices.ts";
import type { OpenedInvite } from "./directory/invites.ts";
import { readMember, selectMember } from "./directory/members.ts";
import { returnMember } from "./directory/returns.ts";
import { depositShare } from "./directory/shares.ts";
import type { Env } from "./env.ts";
import { reach } from "./reach.ts";
import { mailboxStub } from "./residency.ts";

export type NewMember = v.InferOutput<typeof JoinBody>["member"];

/**
 * Checks that the identity key certifies the device and that the device key is the device's own.
 * @throws {Refusal} forbidden — one of the two signatures does not hold
 */
export async function assertIntroduction(tenant: TenantId, { id: member, identityKey, device }: NewMember) {
  const signatureKey = fromBase64url(device.signatureKey) ?? new Uint8Array();
  const identity = fromBase64url(identityKey) ?? new Uint8Array();
  const certified = certificatePayload({ tenant, member, device: device.id, signatureKey });
  const introduced = introductionPayload({ tenant, member, device: device.id, identityKey: identity });
  const good =
    (await verifySignature(identityKey, device.certificate, certified)) &&
    (await verifySignature(device.signatureKey, device.proof, introduced));
  if (!good) throw new Refusal("forbidden");
}

/**
 * Runs `entry` and then enters the member's first device, in one transaction. True when the member and the device are in
 * afterwards, by this call or by an earlier one alike; false when `entry` has let nobody in.
 * @throws {Refusal} conflict — an id is taken by somebody else; unavailable
 */
export async function enter(
  tenant: TenantId,
  db: D1Database,
  {
    entry,
    member,
    invite,
  }: { readonly entry: readonly D1PreparedStatement[]; readonly member: NewMember; readonly invite: InviteId | null },
): Promise<boolean> {
  const { device, identityKey } = member;
  const { share, signatureKey } = device;
  const rows = await run(db, [
    ...entry,
    insertFirstDevice(tenant, db, { ...device, member: member.id, identityKey, now: Date.now() }),
    ...(share === undefined ? [] : depositShare(tenant, db, { ...share, device: device.id, signatureKey })),
    selectMember(tenant, db, member.id),
    selectDevice(tenant, db, device.id),
  ]);
  const enteredMember = readMember(rows.at(-2)?.[0]);
  const enteredDevice = readDevice(rows.at(-1)?.[0]);
  if (enteredMember === undefined && enteredDevice === undefined) return false;
  const same =
    enteredMember?.name === member.name &&
    enteredMember.identityKey === identityKey &&
    enteredMember.inviteId === invite &&
    enteredDevice?.memberId === member.id &&
    enteredDevice.name === device.name &&
    enteredDevice.signatureKey === device.signatureKey &&
    enteredDevice.certificate === device.certificate;
  if (!same) throw new Refusal("conflict");
  return true;
}

/**
 * Lets a member in again, with another identity key and one device; what the old key had certified is out at once. True when the device is in afterwards,
 * by this call or by an earlier one alike; false when the invite lets nobody in, or the device's id is taken. @throws {Refusal} not_found — the
 * invite is for somebody else; unavailable
 */
export async function reenter(env: Env, invite: OpenedInvite, member: NewMember): Promise<boolean> {
  const { id, tenant, residency, returning } = invite;
  if (member.id !== returning?.id) throw new Refusal("not_found");
  const { identityKey, device } = member;
  const entry = { invite: id, member: member.id, identityKey, device, now: Date.now() };
  if (!(await returnMember(tenant, env.DIRECTORY, entry))) return false;
  await sweepDepartures(env, { tenant, residency });
  return true;
}

/**
 * Opens the mailbox for a device that has entered and signs it in. May be repeated.
 * @throws {Refusal} device_revoked, tenant_suspended — it has been put out since; unavailable
 */
export async function welcome(env: Env, tenant: TenantId, { id: member, device: { id: device } }: NewMember) {
  const standing = assertGood(await findStanding(tenant, env.DIRECTORY, device));
  const { residency } = standing;
  await reach(async () => mailboxStub(env, { tenant, residency, member }).open({ tenant, residency, member, device }));
  return issueToken(env, { tenant, device, standing });
}
