// Owns the Merkle tree of RFC 9162 §2.1: hashes of leaves and nodes, heads, proofs and their verification. Knows nothing of what leaves mean
// nor where they are kept.

import { sha256 } from "@noble/hashes/sha2.js";
import { equalBytes } from "./bytes.ts";

export type Hash = Uint8Array<ArrayBuffer>;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Head of the tree without leaves: the hash of nothing. */
export const EMPTY_ROOT: Hash = sha256(new Uint8Array()) as Hash;

/** Hash of a leaf: SHA-256(0x00 ‖ bytes). */
export function leafHash(bytes: Uint8Array): Hash {
  return sha256.create().update(LEAF).update(bytes).digest() as Hash;
}

/** Hash of a node: SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Hash {
  return sha256.create().update(NODE).update(left).update(right).digest() as Hash;
}

/** Hash of the perfect subtree of 2^`level` leaves that begins at leaf `index`·2^`level`. Level 0 are the leaves' hashes. */
export type NodeAt = (level: number, index: number) => Hash;

/** A new leaf's hash and all perfect subtrees it completes, lowest level first; `size` leaves are there before it. */
export function completedBy(leaf: Hash, size: number, nodeAt: NodeAt): Hash[] {
  const completed = [leaf];
  let hash = leaf;
  for (let level = 0, index = size; index % 2 === 1; level++, index = Math.floor(index / 2)) {
    hash = nodeHash(nodeAt(level, index - 1), hash);
    completed.push(hash);
  }
  return completed;
}

/** The perfect subtrees that a tree of `size` leaves consists of, largest first, after one more leaf: all that is needed to go on. */
export function growPeaks(peaks: readonly Hash[], size: number, leaf: Hash): Hash[] {
  const grown = [...peaks];
  let hash = leaf;
  for (let rest = size; rest % 2 === 1; rest = half(rest)) {
    const left = grown.pop();
    if (left === undefined) throw new RangeError("too few peaks");
    hash = nodeHash(left, hash);
  }
  return [...grown, hash];
}

/** Head of the tree that consists of these subtrees. */
export function rootOfPeaks(peaks: readonly Hash[]): Hash {
  return peaks.length === 0 ? EMPTY_ROOT : peaks.reduceRight((root, peak) => nodeHash(peak, root));
}

/** Head of the tree of the first `size` leaves. */
export function rootAt(size: number, nodeAt: NodeAt): Hash {
  return size === 0 ? EMPTY_ROOT : hashOf(0, size, nodeAt);
}

/** Proof that leaf `index` is in the tree of `size` leaves (§2.1.3.1). */
export function inclusionProof(index: number, size: number, nodeAt: NodeAt): Hash[] {
  const path = (leaf: number, start: number, count: number): Hash[] => {
    if (count === 1) return [];
    const split = largestPowerBelow(count);
    return leaf < split
      ? [...path(leaf, start, split), hashOf(start + split, count - split, nodeAt)]
      : [...path(leaf - split, start + split, count - split), hashOf(start, split, nodeAt)];
  };
  return path(index, 0, size);
}

/** Proof that the tree of `second` leaves goes on from the tree of its first `first` leaves (§2.1.4.1); 0 < first ≤ second. */
export function consistencyProof(first: number, second: number, nodeAt: NodeAt): Hash[] {
  const subproof = (old: number, start: number, count: number, whole: boolean): Hash[] => {
    if (old === count) return whole ? [] : [hashOf(start, count, nodeAt)];
    const split = largestPowerBelow(count);
    return old <= split
      ? [...subproof(old, start, split, whole), hashOf(start + split, count - split, nodeAt)]
      : [...subproof(old - split, start + split, count - split, false), hashOf(start, split, nodeAt)];
  };
  return subproof(first, 0, second, true);
}

/** Whether a proof shows that `leaf` is leaf `index` of the tree with this head (§2.1.3.2). */
export function verifyInclusion(claim: {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { leaf, index, size, root, proof } = claim;
  if (index < 0 || index >= size) return false;
  let [node, last, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else hash = nodeHash(hash, sibling);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(hash, root);
}

/** Whether a proof shows that the second tree goes on from the first (§2.1.4.2). Every tree goes on from the one without leaves. */
export function verifyConsistency(claim: {
  readonly first: { readonly size: number; readonly root: Uint8Array };
  readonly second: { readonly size: number; readonly root: Uint8Array };
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { first, second, proof } = claim;
  if (first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && equalBytes(first.root, second.root);
  if (first.size === 0) return proof.length === 0 && equalBytes(first.root, EMPTY_ROOT);
  const isPower = largestPowerBelow(first.size * 2) === first.size;
  const [seed, ...rest] = isPower ? [first.root, ...proof] : proof;
  if (seed === undefined) return false;
  let [node, last] = [first.size - 1, second.size - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  let [old, young] = [seed, seed];
  for (const hash of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      [old, young] = [nodeHash(hash, old), nodeHash(hash, young)];
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else young = nodeHash(young, hash);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(old, first.root) && equalBytes(young, second.root);
}

const half = (number: number): number => Math.floor(number / 2);

/** The largest power of two smaller than `count`; count > 1. */
function largestPowerBelow(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/** Hash of `count` leaves from `start` on, where a perfect tree may begin at `start`. */
function hashOf(start: number, count: number, nodeAt: NodeAt): Hash {
  if (count === 1) return nodeAt(0, start);
  const split = largestPowerBelow(count);
  if (split * 2 === count) return nodeAt(Math.log2(count), start / count);
  return nodeHash(hashOf(start, split, nodeAt), hashOf(start + split, count - split, nodeAt));
}
