// Owns the number two people compare to know that nobody sits between them, and its form as a QR code. Keeps nothing.

// The construction is that of Signal's numeric fingerprints, version 1 (libsignal, rust/protocol/src/fingerprint.rs): 5,200 rounds of SHA-512
// over each identity key and id, 30 digits of each, the smaller first. What is compared are our own identity keys and ids.

import { sha512 } from "@noble/hashes/sha2.js";
import * as v from "valibot";
import { concat, equalBytes, fromBase64url, toBase64url, utf8 } from "../../schemas/bytes.ts";
import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import { bytesOf } from "../../schemas/credential.ts";
import { idBytes, MemberId, TenantId } from "../../schemas/ids.ts";

const VERSION = Uint8Array.of(0, 0);
const ROUNDS = 5_200;
const CHUNKS = 6;
const CHUNK = 5;
const PREFIX = "kuvert-safety:";

/** A member with the identity key this device believes to be its. */
export interface Identified {
  readonly tenant: TenantId;
  readonly member: MemberId;
  readonly identityKey: Uint8Array;
}

const Shown = v.strictTuple([v.literal(1), TenantId, MemberId, bytesOf(32), MemberId, bytesOf(32)]);

/** The first 32 bytes of a fingerprint of a key and whose it is. */
export function fingerprint(key: Uint8Array, id: Uint8Array): Uint8Array {
  let hash: Uint8Array = concat(VERSION, key, id);
  for (let round = 0; round < ROUNDS; round++) hash = sha512.create().update(hash).update(key).digest();
  return hash.slice(0, 32);
}

/** 60 digits from two fingerprints, the same whichever comes first. */
export function digitsOf(a: Uint8Array, b: Uint8Array): string {
  return [halfOf(a), halfOf(b)].sort().join("");
}

/** The 60 digits that two members see alike when each has the other's right key; shown as twelve groups of five. */
export function safetyNumber(a: Identified, b: Identified): string {
  return digitsOf(fingerprintOf(a), fingerprintOf(b));
}

/** What `me` shows as a QR code for `peer` to scan. */
export function safetyCode(me: Identified, peer: Identified): string {
  const shown = [1, me.tenant, me.member, fingerprintOf(me), peer.member, fingerprintOf(peer)];
  return PREFIX + toBase64url(encodeCbor(shown));
}

/**
 * Compares what `me` has scanned from `peer`'s screen with what this device believes. `mismatch`: one of the two has a wrong key, somebody may
 * sit in between; `other_person`: it is a code, but not of `peer` for `me`.
 */
export function compareCode(
  scanned: string,
  { me, peer }: { readonly me: Identified; readonly peer: Identified },
): "match" | "mismatch" | "other_person" | "unreadable" {
  const bytes = scanned.startsWith(PREFIX) ? fromBase64url(scanned.slice(PREFIX.length)) : undefined;
  const parsed = v.safeParse(Shown, bytes && decodeCbor(bytes));
  if (!parsed.success) return "unreadable";
  const [, tenant, shower, showersOwn, reader, readersAsSeen] = parsed.output;
  if (tenant !== me.tenant || shower !== peer.member || reader !== me.member) return "other_person";
  const same = equalBytes(showersOwn, fingerprintOf(peer)) && equalBytes(readersAsSeen, fingerprintOf(me));
  return same ? "match" : "mismatch";
}

function fingerprintOf({ tenant, member, identityKey }: Identified): Uint8Array {
  return fingerprint(identityKey, concat(utf8("kuvert member\0"), idBytes(tenant), idBytes(member)));
}

function halfOf(print: Uint8Array): string {
  const view = new DataView(print.buffer, print.byteOffset, print.byteLength);
  const groups = Array.from({ length: CHUNKS }, (_, index) => {
    const at = index * CHUNK;
    const number = view.getUint8(at) * 2 ** 32 + view.getUint32(at + 1);
    return String(number % 100_000).padStart(5, "0");
  });
  return groups.join("");
}
