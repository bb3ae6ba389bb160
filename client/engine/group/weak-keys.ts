// Owns the X25519 public keys whose shared secret is zero whoever uses them (RFC 7748 §6.1). Cryptography refuses them, so one such key
// in a tree would keep every member from committing.

import { toHex } from "../../../schemas/bytes.ts";

const ONES = "ff".repeat(30);

// The points of order 1, 2, 4 and 8 and their two non-canonical spellings, top bit cleared
const WEAK = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  `ec${ONES}7f`,
  `ed${ONES}7f`,
  `ee${ONES}7f`,
]);

/** Whether a byte string is an X25519 public key that contributes to the secrets made with it. */
export function isContributoryKey(key: Uint8Array): boolean {
  if (key.length !== 32) return false;
  const masked = key.slice();
  masked[31] = (masked[31] ?? 0) & 0x7f; // X25519 ignores the top bit
  return !WEAK.has(toHex(masked));
}
