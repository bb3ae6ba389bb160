// Owns what a verified token says about a device and how the Worker hands it to an object. Verifies nothing itself.

import * as v from "valibot";
import { DeviceId, MemberId, TenantId } from "../schemas/ids.ts";
import { Policy, Residency, Role } from "../schemas/policy.ts";

/** Header that carries the claims from the Worker to an object. Whatever a client sends under this name is dropped. */
export const CLAIMS_HEADER = "x-kuvert-claims";

/** Who a device is, as its access token says. `expiresAt` in ms: from then on the socket may not be opened anew. */
export const Claims = v.object({
  tenant: TenantId,
  member: MemberId,
  device: DeviceId,
  role: Role,
  residency: Residency,
  policy: Policy,
  /** Which of the tenant's decrees the policy is from. */
  revision: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  expiresAt: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type Claims = v.InferOutput<typeof Claims>;

/** Reads the claims the Worker has put on a request to an object. Only the Worker can reach an object, so a wrong header is a bug and throws. */
export function readClaims(headers: Headers): Claims {
  return v.parse(Claims, JSON.parse(headers.get(CLAIMS_HEADER) ?? ""));
}
