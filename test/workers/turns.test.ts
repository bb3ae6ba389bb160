import { describe, expect, test } from "vitest";
import { Turns } from "../../workers/conversation/turns.ts";

describe("F11: what was refused for its haste is not overtaken", () => {
  const id = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);
  const at = (now: number) => ({ now, wait: 500 });

  test("F11: sends that were refused come in their order, and what came later after them", () => {
    const turns = new Turns();
    expect(turns.allows(id(1), 0)).toBe(true);
    for (const later of [1, 2, 3]) turns.refused(id(later), at(0));
    expect([3, 2, 4, 1].filter((one) => turns.allows(id(one), 600))).toEqual([1]);
    turns.refused(id(1), at(600));
    turns.taken(1_200);
    expect([4, 3, 2].filter((one) => turns.allows(id(one), 1_200))).toEqual([2]);
    turns.refused(id(4), at(1_200));
    turns.taken(1_300);
    turns.taken(1_300);
    expect([5, 4].filter((one) => turns.allows(id(one), 1_300))).toEqual([4]);
    turns.taken(1_300);
    expect(turns.allows(id(5), 1_300)).toBe(true);
  });

  test("F11: who never repeats what was refused waits ten seconds, however often it tries something else", () => {
    const turns = new Turns();
    turns.refused(id(1), at(0));
    for (let now = 100; now < 10_500; now += 100) {
      expect(turns.allows(id(2), now)).toBe(false);
      turns.refused(id(2), at(now));
    }
    expect(turns.allows(id(2), 10_501)).toBe(true);
    turns.taken(10_501);
    expect(turns.allows(id(3), 10_501)).toBe(true);
  });

  test("F11: a flood takes no memory", () => {
    const turns = new Turns();
    for (let flood = 0; flood < 200; flood++) turns.refused(id(flood), at(0));
    for (let turn = 0; turn < 64; turn++) turns.taken(1);
    expect(turns.allows(id(250), 1)).toBe(true);
  });
});
