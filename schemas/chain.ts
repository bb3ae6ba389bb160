// Owns the rolling hash that makes a log's completeness provable: how an envelope is digested and how digests chain.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, utf8 } from "./bytes.ts";

const ENVELOPE = utf8("kuvert envelope 1\0");

/** Hash before the first envelope of a conversation. */
export const GENESIS: Uint8Array<ArrayBuffer> = new Uint8Array(32);

/** What is left of an envelope when its bytes are destroyed: SHA-256 over domain, id and bytes. */
export function digestOf(id: Uint8Array, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256.create().update(ENVELOPE).update(id).update(bytes).digest() as Uint8Array<ArrayBuffer>;
}

/** The rolling hash after one more envelope: SHA-256(previous ‖ seq as 64-bit big-endian ‖ digest). */
export function chain(previous: Uint8Array, seq: number, digest: Uint8Array): Uint8Array<ArrayBuffer> {
  const position = new Uint8Array(8);
  new DataView(position.buffer).setBigUint64(0, BigInt(seq));
  return sha256(concat(previous, position, digest)) as Uint8Array<ArrayBuffer>;
}
