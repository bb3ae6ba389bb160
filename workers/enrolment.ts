// Owns how a further device of a member enters, whoever permitted it: by its sibling or by a recovery phrase. Knows neither.

import type * as v from "valibot";
import type { LinkedDeviceBody, RecoveryDeviceBody, TokenAnswer } from "../schemas/api.ts";
import type { GrantId, MemberId, TenantId } from "../schemas/ids.ts";
import { grantPayload } from "../schemas/linking.ts";
import { LIMITS } from "../schemas/policy.ts";
import { Refusal } from "../schemas/refusal.ts";
import { assertIntroduction, welcome } from "./admission.ts";
import { assertGood, verifySignature } from "./auth.ts";
import { admitDevice } from "./directory/admissions.ts";
import { findStanding } from "./directory/devices.ts";
import { findMember } from "./directory/members.ts";
import type { Env } from "./env.ts";

/** A permission, whose it is, and the device that brings it. */
export interface Enrolment {
  readonly tenant: TenantId;
  readonly member: { readonly id: MemberId; readonly name: string; readonly identityKey: string };
  readonly grant: GrantId;
  readonly device: v.InferOutput<typeof RecoveryDeviceBody>["device"];
}

/**
 * Lets a device in that its member's identity key has certified, opens its mailbox and signs it in. May be repeated with the same device.
 * @throws {Refusal} forbidden — a signature does not hold; conflict — the permission is used up or the device's id is taken;
 * quota — too many devices; device_revoked, tenant_suspended; unavailable
 */
export async function enrolDevice(
  env: Env,
  { tenant, member, grant, device }: Enrolment,
): Promise<v.InferOutput<typeof TokenAnswer>> {
  await assertIntroduction(tenant, { ...member, device });
  const entry = { ...device, grant, member: member.id, identityKey: member.identityKey, now: Date.now() };
  const outcome = await admitDevice(tenant, env.DIRECTORY, entry);
  if (outcome === "used") throw new Refusal("conflict");
  if (outcome === "full") throw new Refusal("quota");
  if (outcome === "out") throw new Refusal("not_found");
  return welcome(env, tenant, { ...member, device });
}

/**
 * Lets a device in by the permission of a sibling that is in good standing at this moment. The permission is signed by the sibling's own key,
 * not by the identity key: a revoked device still knows the identity key and must not be able to let anybody in.
 * @throws {Refusal} not_found — no such sibling, not its signature, or the time is over; device_revoked — the sibling is out; otherwise as
 * {@link enrolDevice}
 */
export async function enrolByGrant(
  env: Env,
  { tenant, grant, device }: v.InferOutput<typeof LinkedDeviceBody>,
): Promise<v.InferOutput<typeof TokenAnswer>> {
  const { id, by, expiresAt, signature } = grant;
  const sibling = await findStanding(tenant, env.DIRECTORY, by);
  if (sibling === undefined) throw new Refusal("not_found");
  const { member: memberId, signatureKey } = sibling;
  const payload = grantPayload({ tenant, member: memberId, by, grant: id, expiresAt });
  const left = expiresAt - Date.now();
  const timely = left > 0 && left <= LIMITS.linkLife;
  if (!timely || !(await verifySignature(signatureKey, signature, payload))) throw new Refusal("not_found");
  assertGood(sibling);
  const member = await findMember(tenant, env.DIRECTORY, memberId);
  if (member === undefined) throw new Refusal("not_found");
  return enrolDevice(env, { tenant, member, grant: id, device });
}
