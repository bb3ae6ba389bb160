// Owns how a further device of a member enters, whoever permitted it: by its sibling or by a recovery phrase. Knows neither.

import type * as v from "valibot";
import type { RecoveryDeviceBody, TokenAnswer } from "../schemas/api.ts";
import type { GrantId, MemberId, TenantId } from "../schemas/ids.ts";
import { Refusal } from "../schemas/refusal.ts";
import { assertIntroduction, welcome } from "./admission.ts";
import { admitDevice } from "./directory/admissions.ts";
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
  const entry = { ...device, grant, member: member.id, now: Date.now() };
  const outcome = await admitDevice(tenant, env.DIRECTORY, entry);
  if (outcome === "used") throw new Refusal("conflict");
  if (outcome === "full") throw new Refusal("quota");
  if (outcome === "out") throw new Refusal("not_found");
  return welcome(env, tenant, { ...member, device });
}
