// Owns how a piece of a backup is sealed: its keys, its padding, and what binds it to its member and its place. Knows nothing of what it holds.

import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { expand } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, randomBytes, toBase64url, utf8 } from "../../../schemas/bytes.ts";
import { encodeCbor } from "../../../schemas/cbor.ts";
import type { MemberId, TenantId, VaultId } from "../../../schemas/ids.ts";

const FORMAT = 1;
const NONCE = 24;
const TAG = 16;
const LENGTH = 4;
const HEADER = 1 + NONCE;

/** Sizes in bytes that a sealed piece may have: how many messages are in it does not show. */
const BUCKETS = [64 * 1024, 256 * 1024, 1024 * 1024] as const;

/** The most plaintext that fits into one piece, in bytes. */
export const MOST = BUCKETS[2] - HEADER - TAG - LENGTH;

/** Whose backup, and the key of its phrase. */
export interface BackupKeys {
  readonly tenant: TenantId;
  readonly member: MemberId;
  readonly backupKey: Uint8Array;
}

/** Which piece: the manifest has version 0 always, a segment the version of the backup that wrote it. */
export interface Place {
  readonly kind: "manifest" | "segment";
  readonly id: VaultId;
  readonly version: number;
}

/** Where the manifest of a backup lies. Only the phrase tells. */
export function manifestId({ backupKey }: BackupKeys): VaultId {
  return toBase64url(expand(sha256, backupKey, utf8("manifest id"), 16)) as VaultId;
}

/** Seals a piece under a fresh random nonce, padded to the next bucket. Throws a RangeError for more than {@link MOST} bytes. */
export function sealPiece(keys: BackupKeys, place: Place, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = BUCKETS.find((bucket) => plaintext.length <= bucket - HEADER - TAG - LENGTH);
  if (size === undefined) throw new RangeError("too much for one piece of a backup");
  const padded = new Uint8Array(size - HEADER - TAG);
  new DataView(padded.buffer).setUint32(0, plaintext.length);
  padded.set(plaintext, LENGTH);
  const nonce = randomBytes(NONCE);
  const sealed = xchacha20poly1305(keyOf(keys, place), nonce, bindingOf(keys, place)).encrypt(padded);
  padded.fill(0);
  return concat(Uint8Array.of(FORMAT), nonce, sealed);
}

/** Opens what {@link sealPiece} has sealed for the same member and place; `undefined` for anything else. */
export function openPiece(keys: BackupKeys, place: Place, bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (bytes[0] !== FORMAT || bytes.length < HEADER + LENGTH + TAG) return undefined;
  const cipher = xchacha20poly1305(keyOf(keys, place), bytes.subarray(1, HEADER), bindingOf(keys, place));
  try {
    const padded = cipher.decrypt(bytes.subarray(HEADER));
    const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
    return length <= padded.length - LENGTH ? padded.slice(LENGTH, LENGTH + length) : undefined;
  } catch {
    return undefined;
  }
}

function keyOf({ backupKey }: BackupKeys, { kind }: Place): Uint8Array {
  return expand(sha256, backupKey, utf8(kind), 32);
}

function bindingOf({ tenant, member }: BackupKeys, { kind, id, version }: Place): Uint8Array {
  return concat(utf8("kuvert backup 1\0"), encodeCbor([kind, tenant, member, id, version]));
}
