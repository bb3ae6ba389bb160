import { expect, test } from "vitest";
import { Heads } from "../../client/engine/log-proof.ts";
import { weighTestimony } from "../../client/engine/testimony.ts";
import { type MemberId, newId } from "../../schemas/ids.ts";

const hash = (fill: number) => new Uint8Array(32).fill(fill);
const heads = new Heads([1, 2, 3, 4, 5].map((seq) => [seq, hash(seq)]));
const me = newId<MemberId>();
const [anna, bert] = [newId<MemberId>(), newId<MemberId>()];
const own = { heads, me };

const truth = (from: MemberId, seq: number) => ({ seen: { seq, hash: hash(seq) }, seq: 6, from });
const lie = (from: MemberId, seq: number) => ({ seen: { seq, hash: hash(99) }, seq: 6, from });

test("C33: one member that contradicts is told once, and stops nobody", () => {
  expect(weighTestimony([], lie(anna, 3), own)).toEqual({ verdict: "doubtful", doubts: [anna] });
  expect(weighTestimony([anna], lie(anna, 4), own)).toEqual({ verdict: "fits", doubts: [anna] });
  expect(weighTestimony([], { ...truth(anna, 3), seq: 3 }, own).verdict).toBe("doubtful");
});

test("C33: two members that contradict, or another own device, are proof", () => {
  expect(weighTestimony([anna], lie(bert, 3), own).verdict).toBe("forked");
  expect(weighTestimony([], lie(me, 3), own).verdict).toBe("forked");
});

test("C33: a later word that fits takes the doubt back; one about what is not remembered does not", () => {
  expect(weighTestimony([anna], truth(anna, 5), own)).toEqual({ verdict: "fits", doubts: [] });
  const forgotten = { seen: { seq: 0, hash: hash(0) }, seq: 6, from: anna };
  expect(weighTestimony([anna], forgotten, own)).toEqual({ verdict: "fits", doubts: [anna] });
  expect(weighTestimony([anna], truth(bert, 5), own)).toEqual({ verdict: "fits", doubts: [anna] });
});
