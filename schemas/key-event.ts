// Owns the leaves of a tenant's key log: who has which identity key, which devices are certified, who is out. Does no cryptography itself.

import * as v from "valibot";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { bytesOf } from "./credential.ts";
import { DeviceId, MemberId } from "./ids.ts";

/** One thing that happened to the keys of a tenant. Says nothing of when: the order in the log is all that counts. */
export const KeyEvent = v.variant("type", [
  v.strictObject({ type: v.literal("member"), member: MemberId, identityKey: bytesOf(32) }),
  v.strictObject({
    type: v.literal("device"),

    member: MemberId,
    device: DeviceId,
    signatureKey: bytesOf(32),
    certificate: bytesOf(64),
  }),
  v.strictObject({ type: v.literal("revoked"), member: MemberId, device: DeviceId }),
  v.strictObject({ type: v.literal("removed"), member: MemberId }),
]);
export type KeyEvent = v.InferOutput<typeof KeyEvent>;

/** The bytes of a leaf. */
export function encodeKeyEvent(event: KeyEvent): Uint8Array<ArrayBuffer> {
  return encodeCbor(event);
}

/** Reads a leaf; `undefined` for anything this build does not know. */
export function decodeKeyEvent(bytes: Uint8Array): KeyEvent | undefined {
  const parsed = v.safeParse(KeyEvent, decodeCbor(bytes));
  return parsed.success ? parsed.output : undefined;
}
