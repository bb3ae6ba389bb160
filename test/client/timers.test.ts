import { beforeEach, describe, expect, test } from "vitest";
import { Batch } from "../../client/engine/records.ts";
import { ServerTime } from "../../client/engine/server-time.ts";
import type { Store } from "../../client/engine/store.ts";
import { type Due, Timers } from "../../client/engine/timers.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const conversation = newId<ConversationId>();
const due = (name: string, at: number): Due => ({ table: "messages", key: `${conversation}/${name}`, at });

let clock: ManualClock;
let store: Store;
let time: ServerTime;
let destroyed: string[];

beforeEach(async () => {
  clock = new ManualClock();
  store = memoryStore();
  time = await ServerTime.load(store, clock);
  destroyed = [];
});

async function note(timers: Timers, ...all: readonly Due[]): Promise<void> {
  const batch = new Batch();
  for (const item of all) timers.note(batch, item);
  await store.write(batch.writes);
  for (const { at } of all) timers.arm(at);
}

async function start(): Promise<Timers> {
  const timers = new Timers({ store, clock, time });
  await timers.start(async (_, items) => {
    const batch = new Batch();
    for (const item of items) {
      destroyed.push(item.key.slice(conversation.length + 1));
      timers.forget(batch, item);
    }
    await store.write(batch.writes);
  });
  return timers;
}

/** Lets time pass, then everything that was set off by it finish. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

describe("timers destroy in time", () => {
  test("X40: never early, then at once, whatever order they were noted in", async () => {
    const timers = await start();
    const now = time.now();
    await note(timers, due("spät", now + 20_000), due("früh", now + 10_000));
    await pass(9_999);
    expect(destroyed).toEqual([]);
    await pass(1);
    expect(destroyed).toEqual(["früh"]);
    await pass(10_000);
    expect(destroyed).toEqual(["früh", "spät"]);
    expect(await store.scan("meta", { prefix: "timer/" })).toEqual([]);
  });

  test("X40: what ran out while nobody was there is destroyed before start resolves", async () => {
    const before = await start();
    await note(before, due("alt", time.now() + 5_000), due("neu", time.now() + 50_000));
    before.close();
    clock.advance(30_000);
    await start();
    expect(destroyed).toEqual(["alt"]);
  });

  test("X40: a closed engine destroys nothing more and leaves no timer", async () => {
    const timers = await start();
    await note(timers, due("bleibt", time.now() + 1_000));
    timers.close();
    await pass(5_000);
    expect(destroyed).toEqual([]);
    expect(clock.untilNext).toBeUndefined();
  });

  test("X40: a far timer is looked at again, and more than a page of them all go", async () => {
    const timers = await start();
    const far = time.now() + 3_600_000;
    await note(timers, ...Array.from({ length: 1_200 }, (_, index) => due(`${index}`, far)));
    for (let minute = 0; minute < 59; minute++) await pass(60_000);
    expect(destroyed).toEqual([]);
    await pass(60_000);
    await expect.poll(() => destroyed.length).toBe(1_200);
  });

  test("X40: times are the server's: this machine's clock may be wrong by a day", async () => {
    const serverNow = clock.now() + 86_400_000;
    expect(await time.observe(serverNow)).toBe(true);
    const timers = await start();
    await note(timers, due("gleich", serverNow + 10_000));
    expect(time.toLocal(serverNow)).toBe(clock.now());
    await pass(9_999);
    expect(destroyed).toEqual([]);
    await pass(1);
    expect(destroyed).toEqual(["gleich"]);
    const again = await ServerTime.load(store, clock);
    expect(again.now()).toBe(time.now());
  });

  test("X40: a sample that took long to arrive sets no clock back", async () => {
    await time.observe(clock.now() + 5_000);
    expect(await time.observe(clock.now() + 4_200)).toBe(false);
    expect(time.now()).toBe(clock.now() + 5_000);
  });
});
