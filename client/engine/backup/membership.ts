// Owns how a member's identity is written into a backup, and its proof when it is read. Knows no keys of devices.

import * as v from "valibot";
import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import { bytesOf } from "../../../schemas/credential.ts";
import { MemberId, TenantId } from "../../../schemas/ids.ts";
import { Residency, Role } from "../../../schemas/policy.ts";
import type { Membership } from "../account.ts";
import { sign, verify } from "../group/device-keys.ts";
import type { Bytes } from "../records.ts";

const Packed = v.strictObject({
  v: v.literal(1),
  tenant: v.strictObject({ id: TenantId, name: v.string(), residency: Residency }),
  member: v.strictObject({ id: MemberId, name: v.string(), role: Role }),
  identityKeys: v.strictObject({ publicKey: bytesOf(32), privateKey: bytesOf(32) }),
});

/** The bytes of a membership for {@link Membership}'s next device. */
export function packMembership({ tenant, member, identityKeys }: Membership): Bytes {
  return encodeCbor({ v: 1, tenant, member, identityKeys });
}

/** A membership from a backup; undefined when it is none, or its two identity keys are not a pair. */
export async function unpackMembership(bytes: Uint8Array): Promise<Membership | undefined> {
  const parsed = v.safeParse(Packed, decodeCbor(bytes));
  if (!parsed.success || !(await isPair(parsed.output.identityKeys))) return undefined;
  const { tenant, member, identityKeys } = parsed.output;
  return { tenant, member, identityKeys };
}

/** Whether a private key is the one of a public key. */
export async function isPair({ publicKey, privateKey }: Membership["identityKeys"]): Promise<boolean> {
  const probe = Uint8Array.of(0);
  return verify(publicKey, probe, await sign(privateKey, probe));
}
