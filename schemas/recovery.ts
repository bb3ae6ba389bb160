// Owns what a recovery key signs. Does no cryptography itself.

import { concat, utf8 } from "./bytes.ts";
import { encodeCbor } from "./cbor.ts";
import type { MemberId, RecoveryId, TenantId } from "./ids.ts";

const ENROLMENT = utf8("kuvert recovery enrolment 1\0");
const SIGN_IN = utf8("kuvert recovery sign-in 1\0");

/** What a recovery key signs to be put to a member's name: it proves that the key is held and binds it to this member. */
export function enrolmentPayload(enrolment: {
  tenant: TenantId;
  member: MemberId;
  lookup: RecoveryId;
}): Uint8Array<ArrayBuffer> {
  const { tenant, member, lookup } = enrolment;
  return concat(ENROLMENT, encodeCbor([tenant, member, lookup]));
}

/** What a recovery key signs to be let at the sealed backup. */
export function recoveryPayload(challenge: string): Uint8Array<ArrayBuffer> {
  return concat(SIGN_IN, utf8(challenge));
}
