// Owns how bytes are sealed at rest: AES-256-GCM by the platform, a random nonce before each, bound to the name of their place. Knows no key's origin.

import { concat, randomBytes } from "../../../schemas/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

// Random nonces of 96 bits are good for 2^32 sealings under one key (NIST SP 800-38D §8.3): more than a profile writes in its life
const NONCE = 12;

/** A key of 32 bytes that can seal and unseal and not be read again. */
export function sealingKey(bytes: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** A new key that nobody has ever seen the bytes of. */
export function newSealingKey(): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

/** Seals `bytes`, which are copied before this returns, for the place of this name. */
export async function sealAt(key: CryptoKey, place: Bytes, bytes: Uint8Array): Promise<Bytes> {
  const iv = randomBytes(NONCE);
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: place }, key, bytes.slice());
  return concat(iv, new Uint8Array(box));
}

/** What was sealed for this place; `undefined` when it was not, not by this key, or has changed. */
export async function unsealAt(key: CryptoKey, place: Bytes, sealed: Uint8Array): Promise<Bytes | undefined> {
  const [iv, box] = [sealed.slice(0, NONCE), sealed.slice(NONCE)];
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: place }, key, box));
  } catch {
    return undefined;
  }
}
