// Owns the MLS credential of a device and the statement its member's identity key signs. Does no cryptography itself.

import * as v from "valibot";
import { concat, utf8 } from "./bytes.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { DeviceId, MemberId, TenantId } from "./ids.ts";

/** A byte string of exactly `length` bytes. */
export const bytesOf = (length: number) => v.pipe(v.instance(Uint8Array), v.length(length));

/** What an MLS basic credential (RFC 9420 §5.3) of Kuvert holds: who the device is, and its member's signature that says so. */
export const Credential = v.strictObject({
  v: v.literal(1),
  tenant: TenantId,
  member: MemberId,
  device: DeviceId,
  identityKey: bytesOf(32),
  certificate: bytesOf(64),
});
export type Credential = v.InferOutput<typeof Credential>;

const DOMAIN = utf8("kuvert device certificate 1\0");
const INTRODUCTION = utf8("kuvert introduction 1\0");
const SIGN_IN = utf8("kuvert sign-in 1\0");

/** The bytes of a credential, as carried in the identity field of an MLS basic credential. */
export function encodeCredential(credential: Credential): Uint8Array<ArrayBuffer> {
  return encodeCbor(credential);
}

/** Reads a credential; `undefined` for anything that is not exactly one. */
export function decodeCredential(bytes: Uint8Array): Credential | undefined {
  const parsed = v.safeParse(Credential, decodeCbor(bytes));
  return parsed.success ? parsed.output : undefined;
}

/** What a member's Ed25519 identity key signs to make a device its own: all four ids and keys, under a domain of its own. */
export function certificatePayload(device: {
  tenant: TenantId;
  member: MemberId;
  device: DeviceId;
  signatureKey: Uint8Array;
}): Uint8Array<ArrayBuffer> {
  const { tenant, member, device: id, signatureKey } = device;
  return concat(DOMAIN, encodeCbor([tenant, member, id, signatureKey]));
}

/** What a device's own key signs once, at sign-up or joining, to prove that it is this device's: ids and keys under a domain of its own. */
export function introductionPayload(device: {
  tenant: TenantId;
  member: MemberId;
  device: DeviceId;
  identityKey: Uint8Array;
}): Uint8Array<ArrayBuffer> {
  const { tenant, member, device: id, identityKey } = device;
  return concat(INTRODUCTION, encodeCbor([tenant, member, id, identityKey]));
}

/** What a device key signs to sign in. The domain prefix keeps it apart from all that MLS signs with the same key (RFC 9420 §5.1.2). */
export function signInPayload(challenge: string): Uint8Array<ArrayBuffer> {
  return concat(SIGN_IN, utf8(challenge));
}
