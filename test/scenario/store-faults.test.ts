// A client's own database that fails for a while: the engine goes on by itself, with nothing lost and nothing twice.

import { expect, test } from "vitest";
import { storeRefusal, type Write } from "../../client/engine/store.ts";
import { toHex } from "../../schemas/bytes.ts";
import type { ClientFrame } from "../../schemas/frames.ts";
import type { Company } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";

let company: Company;

eachWithCompany((fresh) => {
  company = fresh;
});

const PATIENCE = { timeout: 40_000, interval: 50 };

/** A disk that has no room for what is chosen, as long as it is full. */
function disk(chosen: (writes: readonly Write[]) => boolean) {
  const state = {
    isFull: false,
    refused: 0,
    beforeWrite: async (writes: readonly Write[]) => {
      if (!state.isFull || !chosen(writes)) return;
      state.refused += 1;
      throw storeRefusal("quota", "full");
    },
  };
  return state;
}

const touches = (table: Write["table"]) => (writes: readonly Write[]) => writes.some((write) => write.table === table);

test("C34: what comes in while there is no room is taken in once there is", async () => {
  const { anna, bert, id } = await company.pair();
  const full = disk(touches("conversations"));
  await bert.reopen({ beforeWrite: full.beforeWrite });
  await bert.settled();
  full.isFull = true;
  for (const text of ["eins", "zwei", "drei"]) await anna.engine.send(id, text);
  await expect.poll(() => full.refused, PATIENCE).toBeGreaterThan(2);
  expect(await bert.texts(id)).toEqual([]);
  full.isFull = false;
  await expect.poll(() => bert.texts(id), PATIENCE).toEqual(["eins", "zwei", "drei"]);
  await bert.engine.send(id, "vier");
  await expect.poll(() => anna.texts(id), PATIENCE).toEqual(["eins", "zwei", "drei", "vier"]);
});

test("C34, C1: what is to go out while there is no room goes out once there is, sealed once", async () => {
  const { anna, bert, id } = await company.pair();
  const full = disk(touches("groups"));
  const sent: string[] = [];
  const outgoing = (frame: ClientFrame): readonly ClientFrame[] => {
    if (frame.type === "send") sent.push(toHex(frame.bytes));
    return [frame];
  };
  await anna.reopen({ beforeWrite: full.beforeWrite, tampering: { outgoing } });
  await anna.settled();
  full.isFull = true;
  for (const text of ["eins", "zwei"]) await anna.engine.send(id, text);
  await expect.poll(() => full.refused, PATIENCE).toBeGreaterThan(1);
  expect(sent).toEqual([]);
  full.isFull = false;
  await expect.poll(() => bert.texts(id), PATIENCE).toEqual(["eins", "zwei"]);
  await anna.settled();
  expect(new Set(sent).size).toBe(2);
});

test("C34: with every fourth write refused, everything said is on both sides once, and whoever is added gets in", {
  timeout: 180_000,
}, async () => {
  const people = await company.found("Anna", "Bert", "Carl");
  const [anna, bert, carl] = people;
  if (anna === undefined || bert === undefined || carl === undefined) throw new Error("nobody");
  const id = await anna.engine.create({ title: "Backstube", members: [bert.id] });
  for (const person of [anna, bert]) await person.settled();
  for (const person of people) {
    let count = 0;
    const chosen = (writes: readonly Write[]) => !writes.some(({ table }) => table === "intents") && ++count % 4 === 0;
    const bad = disk(chosen);
    await person.reopen({ beforeWrite: bad.beforeWrite });
    await person.settled();
    bad.isFull = true;
  }
  await anna.engine.add(id, [carl.id]);
  await expect.poll(() => carl.engine.snapshot().conversations[0]?.state, PATIENCE).toBe("active");
  const said = Array.from({ length: 12 }, (_, index) => `${index}`);
  for (const [index, text] of said.entries()) await (index % 2 === 0 ? anna : bert).engine.send(id, text);
  for (const person of people) {
    await expect
      .poll(async () => (await person.texts(id).catch(() => [])).toSorted(), { ...PATIENCE, timeout: 90_000 })
      .toEqual(said.toSorted());
  }
});

test("C40: a device that is shut out says so although it cannot keep it, and again when it is next opened", {
  timeout: 120_000,
}, async () => {
  const [anna] = await company.found("Anna");
  if (anna === undefined) throw new Error("nobody");
  const full = disk(touches("meta"));
  const second = await company.link(anna, "Zweites", { beforeWrite: full.beforeWrite });
  await second.settled();
  const device = second.engine.snapshot().account?.device;
  full.isFull = true;
  const told: (string | null)[] = [];
  second.engine.on(() => told.push(second.engine.snapshot().code));
  await anna.engine.revokeDevice(device as never);
  await expect.poll(() => told.at(-1), PATIENCE).toBe("device_revoked");
  expect(second.faults).toContainEqual(expect.stringMatching(/^end: /));
  full.isFull = false;
  await second.reopen();
  await expect.poll(() => second.engine.snapshot().phase, PATIENCE).toBe("ended");
});
