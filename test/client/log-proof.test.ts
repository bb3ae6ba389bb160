import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { follow, Heads } from "../../client/engine/log-proof.ts";
import { chain, digestOf, GENESIS } from "../../schemas/chain.ts";
import type { Envelope } from "../../schemas/frames.ts";

function log(length: number): { envelopes: Envelope[]; hashes: Uint8Array<ArrayBuffer>[] } {
  const hashes = [GENESIS];
  const envelopes = Array.from({ length }, (_, index): Envelope => {
    const id = new Uint8Array(16).fill(index);
    const bytes = new Uint8Array(3).fill(index);
    hashes.push(chain(hashes[index] ?? GENESIS, index + 1, digestOf(id, bytes)));
    return { seq: index + 1, id, acceptedAt: 0, expiresAt: null, bytes, digest: null };
  });
  return { envelopes, hashes };
}

const { envelopes, hashes } = log(12);
const hashAt = (seq: number): Uint8Array<ArrayBuffer> => hashes[seq] ?? GENESIS;
const positions = fc.tuple(fc.nat(12), fc.nat(12), fc.nat(12)).map((three) => three.sort((a, b) => a - b));

describe("the rolling hash is followed", () => {
  test("C4, C6: any page that overlaps or continues what is known is taken from where it is new", () => {
    fc.assert(
      fc.property(positions, ([start = 0, from = 0, end = 0]) => {
        const page = envelopes.slice(start, end);
        const linked = follow({ seq: from, hash: hashAt(from) }, { envelopes: page, claimed: hashAt(end) });
        expect(linked).toEqual(
          envelopes.slice(from, end).map((envelope) => ({ envelope, hash: hashAt(envelope.seq) })),
        );
      }),
    );
  });

  test("C6, X22: destroyed envelopes are followed by their digests", () => {
    const destroyed = envelopes.map(({ bytes, id, ...rest }) => ({
      ...rest,
      id,
      bytes: null,
      digest: digestOf(id, bytes ?? id),
    }));
    const linked = follow({ seq: 0, hash: GENESIS }, { envelopes: destroyed, claimed: hashAt(12) });
    expect(linked).toHaveLength(12);
  });

  test("C4: a page that begins too late is a gap", () => {
    expect(follow({ seq: 3, hash: hashAt(3) }, { envelopes: envelopes.slice(4), claimed: hashAt(12) })).toBe("gap");
  });

  test("C6: one changed, missing or exchanged envelope breaks the log", () => {
    fc.assert(
      fc.property(fc.nat(11), fc.constantFrom("bytes", "id", "order", "digest"), (at, what) => {
        const forged = envelopes.map((envelope) => ({ ...envelope }));
        const [one, other] = [forged[at], forged[(at + 1) % 12]];
        if (one === undefined || other === undefined) return;
        if (what === "bytes") one.bytes = new Uint8Array([255]);
        else if (what === "id") one.id = new Uint8Array(16).fill(255);
        else if (what === "digest") Object.assign(one, { bytes: null, digest: new Uint8Array(32) });
        else [one.bytes, other.bytes] = [other.bytes, one.bytes];
        expect(follow({ seq: 0, hash: GENESIS }, { envelopes: forged, claimed: hashAt(12) })).toBe("broken");
      }),
    );
  });

  test("C6: an envelope without bytes and digest proves nothing", () => {
    const [first] = envelopes.map((envelope) => ({ ...envelope, bytes: null }));
    expect(follow({ seq: 0, hash: GENESIS }, { envelopes: first ? [first] : [], claimed: hashAt(1) })).toBe("broken");
  });

  test("C6: a page with nothing new must still end where this device is", () => {
    const page = envelopes.slice(0, 5);
    expect(follow({ seq: 5, hash: hashAt(5) }, { envelopes: page, claimed: hashAt(5) })).toEqual([]);
    expect(follow({ seq: 5, hash: hashAt(5) }, { envelopes: page, claimed: hashAt(6) })).toBe("broken");
  });
});

describe("what others saw is held against what this device saw", () => {
  test("C6: another hash at a known place contradicts, the same or an unknown place does not", () => {
    const heads = new Heads([]);
    for (let seq = 1; seq <= 5; seq++) heads.add({ seq, hash: hashAt(seq) });
    expect(heads.contradicts({ seq: 3, hash: hashAt(3) })).toBe(false);
    expect(heads.contradicts({ seq: 3, hash: hashAt(4) })).toBe(true);
    expect(heads.contradicts({ seq: 9, hash: hashAt(4) })).toBe(false);
  });

  test("C6: the newest places survive a restart, and memory has an end", () => {
    const heads = new Heads([]);
    for (let seq = 1; seq <= 5_000; seq++) heads.add({ seq, hash: hashAt(seq % 12) });
    const kept = heads.kept();
    expect(kept.at(-1)?.[0]).toBe(5_000);
    const again = new Heads(kept);
    expect(again.contradicts({ seq: 5_000, hash: GENESIS.map(() => 1) })).toBe(true);
    expect(heads.contradicts({ seq: 1, hash: GENESIS.map(() => 1) })).toBe(false);
  });
});
