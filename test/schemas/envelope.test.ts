import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { chain, digestOf, GENESIS } from "../../schemas/chain.ts";
import { applyToLeaves, readCommit, readHeader } from "../../schemas/envelope.ts";
import { groupId, idBytes, newId, readGroupId, TenantId } from "../../schemas/ids.ts";

test("F1: no new id begins with a dash, so that its beginning is never taken for an option", () => {
  const beginnings = Array.from({ length: 2_000 }, () => newId<never>() as string).filter((made) =>
    made.startsWith("-"),
  );
  expect(beginnings).toEqual([]);
});

test("F1: an id has one spelling, and a group id names conversation and generation", () => {
  const id = newId<never>();
  expect(v.is(TenantId, id)).toBe(true);
  for (const wrong of ["", `${id}A`, `${(id as string).slice(0, 21)}B`, "../../../../etc/passwd", "a".repeat(21)])
    expect(v.is(TenantId, wrong), wrong).toBe(false);
  expect(readGroupId(groupId(id, 77))).toEqual({ conversation: id, generation: 77 });
  expect(idBytes(id)).toHaveLength(16);
  expect(readGroupId(new Uint8Array(19))).toBeUndefined();
});

test("O12: the rolling hash tells every order, gap and change apart", () => {
  const entry = fc.record({
    id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    bytes: fc.uint8Array({ minLength: 1 }),
  });
  const roll = (entries: { id: Uint8Array; bytes: Uint8Array }[]) =>
    entries.reduce((hash, { id, bytes }, at) => chain(hash, at + 1, digestOf(id, bytes)), GENESIS);
  fc.assert(
    fc.property(fc.uniqueArray(entry, { minLength: 2, maxLength: 6, selector: ({ id }) => id.join() }), (entries) => {
      const whole = roll(entries);
      expect(roll(entries.toReversed())).not.toEqual(whole);
      expect(roll(entries.slice(1))).not.toEqual(whole);
      const [first, ...rest] = entries as [(typeof entries)[number], ...typeof entries];
      expect(roll([{ ...first, bytes: new Uint8Array([...first.bytes, 0]) }, ...rest])).not.toEqual(whole);
    }),
    { numRuns: 50 },
  );
});

test("E38: leaves are blanked by removes and refilled from the left by adds", () => {
  expect(applyToLeaves(["a", "b", "c"], { removed: [1], added: ["d", "e"] })).toEqual(["a", "d", "c", "e"]);
  expect(applyToLeaves(["a", "b", "c"], { removed: [2, 1], added: [] })).toEqual(["a"]);
  expect(applyToLeaves(["a", null, "c"], { removed: [1], added: [] })).toBeUndefined();
  expect(applyToLeaves(["a"], { removed: [5], added: [] })).toBeUndefined();
});

test("F6: anything that is no MLS application message or commit has no header", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const framed = new Uint8Array([0, 1, 0, 2, ...bytes]);
      const header = readHeader(framed);
      if (header !== undefined) expect(header.kind).toBe("application");
      expect(readCommit(framed)).toBeUndefined();
      void readCommit(new Uint8Array([0, 1, 0, 1, ...bytes]));
    }),
    { numRuns: 1_000 },
  );
  // private message, group id 2 bytes, epoch 5, application
  const header = readHeader(new Uint8Array([0, 1, 0, 2, 2, 9, 9, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0]));
  expect(header).toEqual({ kind: "application", groupId: new Uint8Array([9, 9]), epoch: 5 });
  // the same with a two-byte length where one byte would do (RFC 9420 §2.1.2)
  expect(readHeader(new Uint8Array([0, 1, 0, 2, 0x40, 2, 9, 9, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0]))).toBeUndefined();
});
