// What a conversation destroys and when, asked of the real object and its SQLite.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { chain, digestOf, GENESIS } from "../../schemas/chain.ts";
import { Log } from "../../workers/conversation/log.ts";
import { device, type Peer, Room } from "./support/room.ts";

const DAY = 86_400_000;
const rows = (room: Room) =>
  runInDurableObject(room.stub, (_, { storage }) =>
    storage.sql
      .exec<{ seq: number; bytes: ArrayBuffer | null; digest: ArrayBuffer }>(
        "SELECT seq, bytes, digest FROM log ORDER BY seq",
      )
      .toArray(),
  );
const alarmAt = (room: Room) => runInDurableObject(room.stub, (_, { storage }) => storage.getAlarm());
/** Lets `ms` pass, as far as anybody asks the clock. */
const later = (ms: number) => vi.spyOn(Date, "now").mockReturnValue(Date.now() + ms);
/** Rings the alarm until nothing is left that is due. */
async function sweep(room: Room): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await runDurableObjectAlarm(room.stub);
}

async function two(): Promise<{ room: Room; first: Peer; second: Peer }> {
  const other = device();
  const { room, first } = await Room.full(other);
  return { room, first, second: await room.enter(other, 1) };
}

afterEach(() => vi.restoreAllMocks());

describe("expiry", () => {
  test("X21: the alarm is set to the smallest expiry, and never later", async () => {
    const { room, first } = await two();
    const { envelopes } = await first.send(1, "long", { expiresIn: DAY });
    expect(await alarmAt(room)).toBeLessThanOrEqual(envelopes[0]?.expiresAt ?? 0);
    const soon = await first.send(1, "short", { expiresIn: 10_000 });
    await sweep(room);
    expect(await alarmAt(room)).toBe(soon.envelopes[0]?.expiresAt);
  });

  test("X22: nothing is destroyed early, and what is due is gone with its bytes; the digest stays and the hash can still be followed", async () => {
    const { room, first } = await two();
    await first.send(1, "kept");
    await first.send(1, "gone", { expiresIn: 10_000 });
    later(9_000);
    await sweep(room);
    expect((await rows(room)).every(({ bytes }) => bytes !== null)).toBe(true);
    vi.restoreAllMocks();
    later(10_001);
    await sweep(room);
    expect((await rows(room)).map(({ bytes }) => bytes === null)).toEqual([false, false, true]);
    const page = await first.pull(0);
    const hash = page.envelopes.reduce<Uint8Array>(
      (previous, { seq, id, bytes, digest }) =>
        chain(previous, seq, bytes === null ? (digest ?? GENESIS) : digestOf(id, bytes)),
      GENESIS,
    );
    expect(hash).toEqual(page.hash);
    expect(page.envelopes.at(-1)).toMatchObject({ bytes: null, digest: expect.any(Uint8Array) });
  });

  test("X23: what is due is not handed out, also before the alarm has rung", async () => {
    const { first } = await two();
    await first.send(1, "gone", { expiresIn: 10_000 });
    later(10_000);
    expect((await first.pull(1)).envelopes[0]?.bytes).toBeNull();
  });

  test("X24: a timer outside the tenant's policy is refused", async () => {
    const other = device();
    const { room } = await Room.full(other);
    room.decide({ minExpiry: 60_000, maxExpiry: 120_000 });
    const peer = await room.enter(other, 1);
    for (const expiresIn of [59_999, 120_001]) {
      peer.post(1, "x", { expiresIn });
      expect(await peer.refusal()).toMatchObject({
        code: "expiry_out_of_policy",
        detail: { min: 60_000, max: 120_000 },
      });
    }
  });

  test("X25: without a timer the tenant's default holds", async () => {
    const other = device();
    const { room } = await Room.full(other);
    room.decide({ defaultExpiry: 60_000 });
    const peer = await room.enter(other, 1);
    const [envelope] = (await peer.send(1, "x")).envelopes;
    expect(envelope?.expiresAt).toBe((envelope?.acceptedAt ?? 0) + 60_000);
  });

  test("X26: an expiry survives an eviction, and a sweep may run twice", async () => {
    const { room, first } = await two();
    await first.send(1, "gone", { expiresIn: 10_000 });
    await evictDurableObject(room.stub);
    later(10_000);
    await sweep(room);
    await sweep(room);
    expect((await rows(room)).at(-1)?.bytes).toBeNull();
    expect(await first.pull(1)).toMatchObject({ head: 2 });
  });

  test("X27: bytes are overwritten before their room is given back", async () => {
    const { room, first } = await two();
    await first.send(1, "gone", { expiresIn: 10_000 });
    const overwritten = await runInDurableObject(room.stub, (_, { storage: { sql } }) => {
      const seen: number[][] = [];
      const watched = {
        exec: (query: string, ...bindings: unknown[]) => {
          const result = sql.exec(query, ...bindings);
          const [row] = sql.exec<{ bytes: ArrayBuffer | null }>("SELECT bytes FROM log WHERE seq = 2").toArray();
          if (query.startsWith("UPDATE") && row?.bytes) seen.push([...new Set(new Uint8Array(row.bytes))]);
          return result;
        },
      };
      new Log(watched as SqlStorage).expire(Date.now() + 10_000, 10);
      return seen;
    });
    expect(overwritten).toEqual([[0]]);
  });
});

describe("retention", () => {
  test("X28: the bytes of everything older than the tenant's retention are destroyed, whoever has not fetched them", async () => {
    const { room, first } = await two();
    await first.send(1, "old");
    later(30 * DAY + 1_000);
    await sweep(room);
    expect((await rows(room)).map(({ bytes }) => bytes)).toEqual([null, null]);
    expect((await first.resumeAgain()).head.seq).toBe(2);
  });

  test("X29: a shorter retention takes effect when the first token brings it", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    await first.send(1, "old");
    later(2 * DAY);
    room.decide({ retention: DAY });
    await room.enter(other, 1);
    expect(await alarmAt(room)).toBeLessThanOrEqual(Date.now());
    await sweep(room);
    expect((await rows(room)).every(({ bytes }) => bytes === null)).toBe(true);
  });
});

describe("forgetting", () => {
  test("X30: what every device has confirmed is forgotten; the log goes on from there", async () => {
    const { room, first, second } = await two();
    await first.send(1, "one");
    const { hash } = await first.send(1, "two");
    await second.until(3);
    for (const peer of [first, second]) peer.confirm(3);
    await Promise.all([first, second].map((peer) => peer.pull(3)));
    await sweep(room);
    expect(await rows(room)).toEqual([]);
    await evictDurableObject(room.stub);
    const ready = await first.resumeAgain();
    expect(ready).toMatchObject({ first: 4, head: { seq: 3, hash } });
    const { envelopes } = await second.send(1, "three");
    expect(envelopes.map(({ seq }) => seq)).toEqual([4]);
  });

  test("X31: what one device has not confirmed stays for it, also a tombstone", async () => {
    const { room, first, second } = await two();
    await first.send(1, "gone", { expiresIn: 10_000 });
    await first.send(1, "stays");
    first.confirm(3);
    second.confirm(1);
    await Promise.all([first, second].map((peer) => peer.pull(3)));
    later(10_000);
    await sweep(room);
    expect((await rows(room)).map(({ seq, bytes }) => [seq, bytes === null])).toEqual([
      [2, true],
      [3, false],
    ]);
  });

  test("X32: a removed device holds nothing back", async () => {
    const { room, first, second } = await two();
    await first.send(1, "one");
    first.confirm(2);
    await first.pull(2);
    await room.stub.dismiss({ by: second.who.member, role: "member", member: second.who.member });
    await sweep(room);
    expect(await rows(room)).toEqual([]);
  });

  test("X33: when nothing is kept, nothing is armed", async () => {
    const { room, first, second } = await two();
    for (const peer of [first, second]) peer.confirm(1);
    await Promise.all([first, second].map((peer) => peer.pull(1)));
    await sweep(room);
    expect(await rows(room)).toEqual([]);
    await sweep(room);
    expect(await alarmAt(room)).toBeNull();
  });

  test("X34: a sweep turns over at most so much at a time and comes back for the rest", async () => {
    const { room, first, second } = await two();
    await runInDurableObject(room.stub, (_, { storage }) => {
      for (let seq = 2; seq <= 1_200; seq++) {
        const values = [
          seq,
          crypto.getRandomValues(new Uint8Array(16)),
          new Uint8Array(8),
          GENESIS,
          GENESIS,
          Date.now(),
        ];
        storage.sql.exec(
          "INSERT INTO log (seq, id, bytes, digest, hash, accepted_at) VALUES (?, ?, ?, ?, ?, ?)",
          ...values,
        );
      }
    });
    await evictDurableObject(room.stub);
    for (const peer of [first, second]) peer.confirm(1_200);
    await Promise.all([first, second].map((peer) => peer.pull(1_200)));
    await runDurableObjectAlarm(room.stub);
    expect((await rows(room)).length).toBe(700);
    await sweep(room);
    expect(await rows(room)).toEqual([]);
  });
});

test("X35: a failing sweep is run again, and rings again", async () => {
  const { room, first } = await two();
  await first.send(1, "gone", { expiresIn: 10_000 });
  later(10_000);
  await runInDurableObject(room.stub, (_, { storage }) => {
    vi.spyOn(storage, "transactionSync").mockImplementationOnce(() => {
      throw new Error("the disk is tired");
    });
  });
  await runDurableObjectAlarm(room.stub);
  expect((await rows(room)).at(-1)?.bytes).not.toBeNull();
  expect(await alarmAt(room)).not.toBeNull();
  await runDurableObjectAlarm(room.stub);
  expect((await rows(room)).at(-1)?.bytes).toBeNull();
});
