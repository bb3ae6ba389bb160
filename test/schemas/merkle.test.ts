// The Merkle tree against Certificate Transparency's published heads and a naive tree that follows the RFC's definitions word for word.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../../schemas/bytes.ts";
import {
  completedBy,
  consistencyProof,
  EMPTY_ROOT,
  growPeaks,
  type Hash,
  inclusionProof,
  leafHash,
  type NodeAt,
  nodeHash,
  rootAt,
  rootOfPeaks,
  verifyConsistency,
  verifyInclusion,
} from "../../schemas/merkle.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

// Leaves and heads that the implementations of Certificate Transparency test each other with
const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"].map(
  hex,
);
const HEADS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** A tree that grows leaf by leaf and remembers its perfect subtrees. */
function grow(leaves: readonly Uint8Array[]): NodeAt {
  const nodes = new Map<string, Hash>();
  const nodeAt: NodeAt = (level, index) => {
    const node = nodes.get(`${level}/${index}`);
    if (node === undefined) throw new Error(`no node ${level}/${index}`);
    return node;
  };
  for (const [size, leaf] of leaves.entries()) {
    for (const [level, hash] of completedBy(leafHash(leaf), size, nodeAt).entries()) {
      nodes.set(`${level}/${Math.floor(size / 2 ** level)}`, hash);
    }
  }
  return nodeAt;
}

/** MTH of RFC 9162 §2.1.1, word for word. */
function naive(leaves: readonly Uint8Array[]): Hash {
  const [first] = leaves;
  if (first === undefined) return EMPTY_ROOT;
  if (leaves.length === 1) return leafHash(first);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(naive(leaves.slice(0, k)), naive(leaves.slice(k)));
}

const numbered = (count: number) => Array.from({ length: count }, (_, n) => Uint8Array.of(n >> 8, n & 255));

describe("tree", () => {
  test("M1: the heads of the published leaves are the published heads, and the empty tree's is the hash of nothing", () => {
    const nodeAt = grow(LEAVES);
    expect(HEADS.map((_, index) => toHex(rootAt(index + 1, nodeAt)))).toEqual(HEADS);
    expect(toHex(rootAt(0, nodeAt))).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });

  test("M1: the published proofs come out", () => {
    const nodeAt = grow(LEAVES);
    expect(inclusionProof(0, 8, nodeAt).map(toHex)).toEqual([
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    expect(consistencyProof(1, 8, nodeAt).map(toHex)).toEqual([
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    expect(consistencyProof(6, 8, nodeAt).map(toHex)).toEqual([
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
  });

  test("M1: at every size the head is what the RFC's definition says", () => {
    const leaves = numbered(70);
    const nodeAt = grow(leaves);
    for (let size = 0; size <= leaves.length; size++) {
      expect(toHex(rootAt(size, nodeAt))).toBe(toHex(naive(leaves.slice(0, size))));
    }
  });
});

const trees = fc
  .integer({ min: 1, max: 300 })
  .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.integer({ min: 1, max: size })));

describe("peaks", () => {
  test("M1: whoever keeps the peaks alone comes to the same heads", () => {
    const leaves = numbered(70);
    let peaks: Hash[] = [];
    for (const [size, leaf] of leaves.entries()) {
      expect(toHex(rootOfPeaks(peaks))).toBe(toHex(naive(leaves.slice(0, size))));
      peaks = growPeaks(peaks, size, leafHash(leaf));
      expect(peaks.length).toBe((size + 1).toString(2).replaceAll("0", "").length);
    }
  });
});

describe("proofs", () => {
  const nodeAt = grow(numbered(300));

  test("M2: every leaf's inclusion is proven, and with anything about it changed it is not", () => {
    fc.assert(
      fc.property(trees, fc.nat(), ([size, index], noise) => {
        const root = rootAt(size, nodeAt);
        const proof = inclusionProof(index, size, nodeAt);
        const claim = { leaf: nodeAt(0, index), index, size, root, proof };
        expect(verifyInclusion(claim)).toBe(true);
        const broken = proof.map((hash, at) =>
          at === noise % Math.max(1, proof.length) ? hash.map((byte) => byte ^ 1) : hash,
        );
        if (proof.length > 0) expect(verifyInclusion({ ...claim, proof: broken })).toBe(false);
        if (proof.length > 0) expect(verifyInclusion({ ...claim, proof: proof.slice(1) })).toBe(false);
        expect(verifyInclusion({ ...claim, proof: [...proof, root] })).toBe(false);
        expect(verifyInclusion({ ...claim, leaf: leafHash(Uint8Array.of(1, 2, 3)) })).toBe(false);
        expect(verifyInclusion({ ...claim, index: size })).toBe(false);
        expect(verifyInclusion({ ...claim, index: -1 })).toBe(false);
        const elsewhere = noise % size;
        if (elsewhere !== index) expect(verifyInclusion({ ...claim, index: elsewhere })).toBe(false);
      }),
      { numRuns: 400 },
    );
  });

  test("M2: every tree's growth is proven, and of another past it is not", () => {
    fc.assert(
      fc.property(trees, fc.nat(), ([second, , first], noise) => {
        const claim = {
          first: { size: first, root: rootAt(first, nodeAt) },
          second: { size: second, root: rootAt(second, nodeAt) },
          proof: consistencyProof(first, second, nodeAt),
        };
        expect(verifyConsistency(claim)).toBe(true);
        const other = leafHash(Uint8Array.of(9));
        expect(verifyConsistency({ ...claim, first: { size: first, root: other } })).toBe(false);
        expect(verifyConsistency({ ...claim, second: { size: second, root: other } })).toBe(false);
        expect(verifyConsistency({ ...claim, proof: [...claim.proof, other] })).toBe(false);
        const { proof } = claim;
        const broken = proof.map((hash, at) => (at === noise % Math.max(1, proof.length) ? other : hash));
        if (proof.length > 0) expect(verifyConsistency({ ...claim, proof: broken })).toBe(false);
        if (proof.length > 0) expect(verifyConsistency({ ...claim, proof: proof.slice(0, -1) })).toBe(false);
        if (first < second)
          expect(verifyConsistency({ ...claim, first: claim.second, second: claim.first })).toBe(false);
      }),
      { numRuns: 400 },
    );
  });

  test("M2: every tree goes on from the empty one, and from no other of size zero", () => {
    const second = { size: 5, root: rootAt(5, nodeAt) };
    expect(verifyConsistency({ first: { size: 0, root: EMPTY_ROOT }, second, proof: [] })).toBe(true);
    expect(verifyConsistency({ first: { size: 0, root: second.root }, second, proof: [] })).toBe(false);
  });
});
