// Owns what two devices of one member say to each other while the second is being linked. Only they can read it. Does no cryptography itself.

import * as v from "valibot";
import { concat, utf8 } from "./bytes.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { bytesOf } from "./credential.ts";
import { DeviceId, GrantId, MemberId, RecoveryId, TenantId } from "./ids.ts";
import { LIMITS, Residency, Role } from "./policy.ts";

const GRANT = utf8("kuvert device grant 1\0");
const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.nameCharacters));
const Time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Left by the device that shows the code: its key for this one meeting, and what binds it to a nonce it has not shown yet. */
export const LinkOffer = v.strictObject({ v: v.literal(1), publicKey: bytesOf(32), commitment: bytesOf(32) });
/** Left by the device that was given the code: the encapsulated key, and sealed to it a {@link LinkHello}. */
export const LinkReply = v.strictObject({
  v: v.literal(1),
  enc: bytesOf(32),
  sealed: v.instance(Uint8Array<ArrayBuffer>),
});
/** What the new device is called. */
export const LinkHello = v.strictObject({ v: v.literal(1), name: Name });

/** What the new device is given once a person has confirmed: who it now is, the identity key, the permission to enter, and the key of the history. */
export const LinkHandover = v.strictObject({
  v: v.literal(1),
  tenant: v.strictObject({ id: TenantId, name: Name, residency: Residency }),
  member: v.strictObject({ id: MemberId, name: Name, role: Role }),
  identityKeys: v.strictObject({ publicKey: bytesOf(32), privateKey: bytesOf(32) }),
  grant: v.strictObject({ id: GrantId, by: DeviceId, expiresAt: Time, signature: bytesOf(64) }),
  /** Opens the history on its shelf of the vault, which it names; null when none is handed over. */
  history: v.nullable(bytesOf(32)),
  /** What of the recovery phrase a device needs to keep the sealed backup; null when there is no phrase. */
  recovery: v.nullable(v.strictObject({ lookup: RecoveryId, backupKey: bytesOf(32) })),
});
export type LinkHandover = v.InferOutput<typeof LinkHandover>;

/** Reads one of the messages; `undefined` for anything that is not exactly one. */
export function decodeLink<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
): v.InferOutput<Schema> | undefined {
  const parsed = v.safeParse(schema, decodeCbor(bytes));
  return parsed.success ? parsed.output : undefined;
}

/** The bytes of one of the messages. */
export function encodeLink(
  message: v.InferOutput<typeof LinkOffer | typeof LinkReply | typeof LinkHello | typeof LinkHandover>,
): Uint8Array<ArrayBuffer> {
  return encodeCbor(message);
}

/** What a device signs to let one further device of its member in. */
export function grantPayload(grant: {
  tenant: TenantId;
  member: MemberId;
  by: DeviceId;
  grant: GrantId;
  expiresAt: number;
}): Uint8Array<ArrayBuffer> {
  const { tenant, member, by, grant: id, expiresAt } = grant;
  return concat(GRANT, encodeCbor([tenant, member, by, id, expiresAt]));
}
