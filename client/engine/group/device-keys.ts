// Owns the making and use of Ed25519 keys: a device's signature key, a member's identity key and the certificate between them.

import { certificatePayload } from "../../../schemas/credential.ts";
import type { DeviceId, MemberId, TenantId } from "../../../schemas/ids.ts";
import { suite } from "./provider.ts";

/** A raw Ed25519 key pair: 32-byte public key, 32-byte seed. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** New keys of a device: it signs in, and signs all its MLS messages, with this one. */
export async function createDeviceKeys(): Promise<{ signatureKey: KeyPair }> {
  return { signatureKey: await createKeyPair() };
}

/** A new identity key of a member. */
export function createIdentityKeys(): Promise<KeyPair> {
  return createKeyPair();
}

/** Signs bytes with a raw Ed25519 private key; 64 bytes. */
export async function sign(privateKey: Uint8Array, bytes: Uint8Array): Promise<Uint8Array> {
  return (await suite()).signature.sign(privateKey, bytes);
}

/** Whether an Ed25519 signature holds; false, not an error, for keys and signatures that are malformed. */
export async function verify(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    return await (await suite()).signature.verify(publicKey, bytes, signature);
  } catch {
    return false;
  }
}

/** A member's statement that a device is its own: 64 bytes for the device's credential. */
export function certify(
  identityPrivateKey: Uint8Array,
  device: { tenant: TenantId; member: MemberId; device: DeviceId; signatureKey: Uint8Array },
): Promise<Uint8Array> {
  return sign(identityPrivateKey, certificatePayload(device));
}

async function createKeyPair(): Promise<KeyPair> {
  const { publicKey, signKey } = await (await suite()).signature.keygen();
  return { publicKey, privateKey: signKey };
}
