// Owns the numbers that bound what a group accepts and keeps. Must not know where bytes come from or how they are stored.

import { LIMITS } from "../../../schemas/policy.ts";

const DAY = 86_400_000;

/** Largest messages handed to the library, in bytes: its decoder has no limits of its own. */
export const MAX_BYTES = {
  application: LIMITS.envelopeBytes,
  commit: LIMITS.commitBytes,
  welcome: 4 * 1024 * 1024,
  groupInfo: 4 * 1024 * 1024,
  keyPackage: 4096,
} as const;

/** Most leaves of a ratchet tree. Conversations hold 500 members; blanks and second devices need room, hashing cost needs an end. */
export const MAX_LEAVES = 1024;

/** Most entries of each list of a leaf's capabilities (ours have one each; the rest is room for later versions). */
export const MAX_CAPABILITIES = 32;

/** Past epochs whose messages can still be opened: a message sealed just before somebody else's commit is accepted after it. */
export const PAST_EPOCHS = 2;

/**
 * Messages a device may seal in one epoch, and at the same time the furthest a receiver ratchets ahead: so no honest gap, however many
 * messages expired unseen, is ever refused, and a hostile message costs a receiver at most 4,096 key derivations (about 0.1 s).
 */
export const MAX_GENERATION = 4096;

/** After this many messages of one epoch a device should commit an update: healing after a compromise, and room before {@link MAX_GENERATION}. */
export const UPDATE_AFTER = 1024;

/**
 * Keys kept for messages of one sender that were overtaken. Delivery is in order, so only messages that one device had in flight
 * together can swap places; a device keeps at most this many sealed messages unacknowledged.
 */
export const OUT_OF_ORDER = 32;

/** Life of a key package in ms, counted from `CLOCK_SKEW` before it is made. */
export const KEY_PACKAGE_LIFE = 90 * DAY;
export const CLOCK_SKEW = DAY;

/** Buckets in bytes that the content of a message is padded to, so that its size tells little of its length. */
export const BUCKETS = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 61_440] as const;

// Framing inside the padded content: the signature (64 bytes and its 2-byte length) and the longest length of the plaintext
const CONTENT_OVERHEAD = 64 + 2 + 4;

/** Longest plaintext that can be sealed, in bytes. */
export const MAX_PLAINTEXT = Math.max(...BUCKETS) - CONTENT_OVERHEAD;

/** The bucket for a plaintext of `length` bytes; `undefined` when it is longer than {@link MAX_PLAINTEXT}. */
export function bucketFor(length: number): number | undefined {
  if (length > MAX_PLAINTEXT) return undefined;
  const framing = 66 + (length < 64 ? 1 : length < 16_384 ? 2 : 4);
  return BUCKETS.find((bucket) => length + framing <= bucket);
}
