// Keeping and restoring a sealed backup over a real store: what comes back, what the vault can see, and what survives crashes and lies.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openSqliteStore } from "../../../client/cli/store-sqlite.ts";
import { engineRows } from "../../../client/engine/backup/engine-rows.ts";
import { keepBackup } from "../../../client/engine/backup/keeper.ts";
import { openManifest, openRows } from "../../../client/engine/backup/manifest.ts";
import { findBackup, restoreBackup } from "../../../client/engine/backup/restore.ts";
import { manifestId, openPiece, type Place, sealPiece } from "../../../client/engine/backup/sealed.ts";
import { Batch, messageKey } from "../../../client/engine/records.ts";
import type { Store } from "../../../client/engine/store.ts";
import { randomBytes, utf8 } from "../../../schemas/bytes.ts";
import {
  type ConversationId,
  type DeviceId,
  type MemberId,
  newId,
  type TenantId,
  type VaultId,
} from "../../../schemas/ids.ts";
import { MemoryVault } from "../../support/memory-vault.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const root = mkdtempSync(join(tmpdir(), "kuvert-backup-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;

const timers = {
  note: (batch: Batch, { table, key, at }: { table: string; key: string; at: number }) =>
    batch.put("meta", `timer/${at}/${table}/${key}`, {}),
};
const account = utf8("account with identity key");

async function setUp() {
  const keys = { tenant: newId<TenantId>(), member: newId<MemberId>(), backupKey: randomBytes(32) };
  const clock = { now: 1_000 * DAY + 12_345 };
  const now = () => clock.now;
  const vault = new MemoryVault(now);
  const store = await openSqliteStore(join(root, String(folders++)));
  const shared = { keys, now, shelf: "backup" as const, portable: engineRows(timers) };
  const options = { ...shared, device: newId<DeviceId>(), store, vault };
  return { keys, clock, vault, store, options, shared, conversation: newId<ConversationId>() };
}
type World = Awaited<ReturnType<typeof setUp>>;

interface Said {
  readonly text: (seq: number) => string;
  readonly expiresAt?: (seq: number) => number | null;
}

async function sayAll(
  { store, conversation }: World,
  [first, last]: [number, number],
  { text, expiresAt = () => null }: Said,
) {
  const batch = new Batch();
  for (let seq = first; seq <= last; seq++) {
    const key = messageKey(conversation, seq, 0);
    const body = { kind: "text", text: text(seq) };
    batch.put("messages", key, { key, seq, from: null, at: 1, body, expiresAt: expiresAt(seq) });
  }
  await store.write(batch.writes);
}

const say = (world: World, seq: number, text: string, expiresAt: number | null = null) =>
  sayAll(world, [seq, seq], { text: () => text, expiresAt: () => expiresAt });

/** Twelve messages that lie in a segment each, because they expire on different days. */
const sayManySegments = (world: World) =>
  sayAll(world, [1, 12], { text: (seq) => `text ${seq}`, expiresAt: (seq) => world.clock.now + (seq + 5) * DAY });

async function note({ store, conversation }: World, record: object) {
  const batch = new Batch();
  batch.put("conversations", conversation, { id: conversation, state: "active", cursor: 7, ...record });
  await store.write(batch.writes);
}

const keep = (world: World, how: { takeOver?: boolean; device?: DeviceId } = {}) =>
  keepBackup(
    { ...world.options, ...(how.device && { device: how.device }) },
    { account, takeOver: how.takeOver ?? false },
  );

/** Restores into a new store, and says what is in it. */
async function restored(world: World, into?: Store) {
  const store = into ?? (await openSqliteStore(join(root, String(folders++))));
  const found = await findBackup({ keys: world.keys, vault: world.vault });
  if (found === undefined) throw new Error("no backup");
  const outcome = await restoreBackup({ ...world.shared, vault: world.vault, store }, found);
  return { store, outcome, found, messages: await store.scan("messages") };
}

/** Every text in any segment that lies in the vault, whether the manifest names it or not. */
async function textsInVault({ vault, keys }: World): Promise<string[]> {
  const manifest = openManifest(keys, vault.objects.get(manifestId(keys))?.bytes ?? new Uint8Array());
  const texts: string[] = [];
  for (const [id, { bytes }] of vault.objects) {
    for (let version = 0; version <= (manifest?.version ?? 0) + 1; version++) {
      const rows = openRows(keys, { id, version, lane: null, kind: "history" }, bytes);
      texts.push(...(rows ?? []).map(([, , value]) => new TextDecoder().decode(value)));
    }
  }
  return texts;
}

describe("sealed piece", () => {
  const keys = { tenant: newId<TenantId>(), member: newId<MemberId>(), backupKey: randomBytes(32) };
  const place: Place = { kind: "segment", id: newId<VaultId>(), version: 3 };
  const sealed = sealPiece(keys, place, utf8("text"));

  test.each([
    ["member", { ...keys, member: newId<MemberId>() }, place],
    ["tenant", { ...keys, tenant: newId<TenantId>() }, place],
    ["phrase", { ...keys, backupKey: randomBytes(32) }, place],
    ["id", keys, { ...place, id: newId<VaultId>() }],
    ["version", keys, { ...place, version: 4 }],
    ["kind", keys, { ...place, kind: "manifest" }],
  ] as const)("Z5: opens for nobody and nowhere else: not with another %s", (_, otherKeys, otherPlace) => {
    expect(openPiece(keys, place, sealed)).toEqual(utf8("text"));
    expect(openPiece(otherKeys, otherPlace, sealed)).toBeUndefined();
  });

  test("Z5: a changed bit anywhere, a cut and an unknown format open as nothing", () => {
    for (let at = 0; at < sealed.length; at += 997) {
      const changed = sealed.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(openPiece(keys, place, changed)).toBeUndefined();
    }
    for (const length of [0, 1, 44, sealed.length - 1])
      expect(openPiece(keys, place, sealed.subarray(0, length))).toBeUndefined();
  });

  test("Z2: the same text is never sealed to the same bytes", () => {
    expect(sealPiece(keys, place, utf8("text"))).not.toEqual(sealed);
  });
});

describe("backup", () => {
  test("Z1: brings back every row, the account, timers, and a conversation that will let itself in again", async () => {
    const world = await setUp();
    await sayAll(world, [1, 300], {
      text: (seq) => `text ${seq}`,
      expiresAt: (seq) => (seq % 30 === 0 ? world.clock.now + seq * HOUR : null),
    });
    await note(world, { title: "Team", readTo: 290, last: { text: "secret" }, generation: 4, lost: false });
    expect(await keep(world)).toMatchObject({ kind: "kept" });
    const { found, messages, store, outcome } = await restored(world);
    expect(found.manifest.account).toEqual(account);
    expect(outcome).toEqual({ rows: 301, missing: 0 });
    expect(messages).toEqual(await world.store.scan("messages"));
    const due = messages.find(({ key }) => key === messageKey(world.conversation, 30, 0))?.key;
    expect(await store.get("meta", `timer/${world.clock.now + 30 * HOUR}/messages/${due}`)).toBeDefined();
    const conversation = Buffer.from((await store.get("conversations", world.conversation)) ?? []).toString("latin1");
    expect(conversation).toContain("Team");
    expect(conversation).not.toContain("secret");
  });

  test("Z1: goes on where it is: an unchanged store writes nothing, a changed one what has changed", async () => {
    const world = await setUp();
    await sayAll(world, [1, 50], { text: (seq) => `text ${seq}`.repeat(500) });
    await keep(world);
    const before = new Set(world.vault.objects.keys());
    world.vault.calls.length = 0;
    expect(await keep(world)).toEqual({ kind: "kept", written: 0, dropped: 0 });
    expect(world.vault.calls).toEqual([]);
    await say(world, 51, "one more");
    expect(await keep(world)).toMatchObject({ written: 1 });
    expect([...world.vault.objects.keys()].filter((id) => !before.has(id)).length).toBe(1);
    expect((await restored(world)).messages).toEqual(await world.store.scan("messages"));
  });

  test("Z2: neither content nor number of messages shows: sizes are of three kinds, and one message looks like a hundred", async () => {
    const sizes: number[][] = [];
    for (const count of [1, 100]) {
      const world = await setUp();
      await sayAll(world, [1, count], { text: (seq) => `canary-${seq}` });
      await keep(world);
      const objects = [...world.vault.objects.values()];
      sizes.push(objects.map(({ bytes }) => bytes.length).sort());
      for (const { bytes } of objects) expect(Buffer.from(bytes).includes("canary")).toBe(false);
    }
    expect(sizes[0]).toEqual(sizes[1]);
    expect(new Set(sizes[0])).toEqual(new Set([65_536]));
  });

  test("Z3: nothing that has expired is ever in it, and whatever expires is destroyed by the vault in time", async () => {
    const world = await setUp();
    await say(world, 1, "gone", world.clock.now - 1);
    await say(world, 2, "in a minute", world.clock.now + 60_000);
    const start = world.clock.now;
    await sayAll(world, [1, 28].map((days) => days + 10) as [number, number], {
      text: (seq) => `in ${seq - 10} days`,
      expiresAt: (seq) => start + (seq - 10) * DAY,
    });
    await say(world, 99, "for good");
    await keep(world);
    const texts = (await textsInVault(world)).join();
    expect(texts).toContain("in 28 days");
    expect(texts).not.toContain("gone");
    expect(texts).not.toContain("in a minute");
    for (const days of [0, 1, 3, 20, 29]) {
      world.clock.now = start + days * DAY;
      const { messages } = await restored(world);
      const left = messages.map(({ value }) => new TextDecoder().decode(value)).join();
      for (let n = 1; n <= 28; n++) if (n <= days) expect(left).not.toContain(`in ${n} days`);
      for (let n = days + 2; n <= 28; n++) expect(left).toContain(`in ${n} days`);
      expect(left).toContain("for good");
    }
    // No restore helped here: the objects themselves were not given out any more
    expect((await world.vault.list()).length).toBeLessThanOrEqual(2);
  });

  test("Z3: a message that is deleted, or is to expire sooner, leaves every object in the vault with the next run", async () => {
    const world = await setUp();
    await sayAll(world, [1, 20], { text: (seq) => `text-${seq}.` });
    await keep(world);
    await world.store.write([{ table: "messages", key: messageKey(world.conversation, 5, 0), value: null }]);
    await say(world, 6, "text-6.", world.clock.now + 5 * HOUR);
    await keep(world);
    const texts = (await textsInVault(world)).filter((text) => text.includes("text-"));
    expect(texts.some((text) => text.includes("text-5."))).toBe(false);
    expect(texts.filter((text) => text.includes("text-6."))).toHaveLength(1);
    expect(texts).toHaveLength(19);
    const lanes = [...world.vault.objects.values()].map(({ expiresAt }) => expiresAt).filter((lane) => lane !== null);
    expect(Math.max(...lanes)).toBeLessThanOrEqual(world.clock.now + 5 * HOUR);
  });

  test.each(["fail", "lose"] as const)(
    "Z4: a crash at any call (%s) loses nothing: the next run makes it whole and leaves no rubbish",
    async (how) => {
      for (let crashAt = 0; ; crashAt++) {
        const world = await setUp();
        await sayAll(world, [1, 8], { text: (seq) => `${seq}` });
        await keep(world);
        // Each day's messages are a segment, and so many segments are written in two batches
        const inDays = (seq: number) => world.clock.now + seq * DAY;
        await sayAll(world, [9, 14], { text: (seq) => `${seq}`, expiresAt: inDays });
        await world.store.write([{ table: "messages", key: messageKey(world.conversation, 3, 0), value: null }]);
        let calls = 0;
        world.vault.interfere = () => (calls++ === crashAt ? how : undefined);
        const crashed = await keep(world).then(
          () => false,
          () => true,
        );
        world.vault.interfere = () => undefined;
        if (!crashed) {
          expect(crashAt).toBeGreaterThan(8);
          break;
        }
        if (crashAt % 3 === 0) expect((await restored(world)).outcome.missing).toBe(0);
        expect(await keep(world)).toMatchObject({ kind: "kept" });
        const { messages, outcome, found } = await restored(world);
        expect(outcome.missing).toBe(0);
        expect(messages).toEqual(await world.store.scan("messages"));
        expect(world.vault.objects.size).toBe(found.manifest.segments.length + 1);
      }
    },
    30_000,
  );
});

describe("restore", () => {
  test("Z6: goes on where it was interrupted, and fetches no segment twice", async () => {
    const world = await setUp();
    await sayManySegments(world);
    await keep(world);
    const into = await openSqliteStore(join(root, String(folders++)));
    world.vault.calls.length = 0;
    let gets = 0;
    world.vault.interfere = (call) => (call.startsWith("get") && ++gets % 3 === 0 ? "fail" : undefined);
    let tries = 0;
    for (;;) {
      tries += 1;
      if (
        await restored(world, into).then(
          () => true,
          () => false,
        )
      )
        break;
    }
    expect(tries).toBeGreaterThan(1);
    world.vault.interfere = () => undefined;
    expect(await into.scan("messages")).toEqual(await world.store.scan("messages"));
    const segments = world.vault.calls.filter((call) => call !== `get ${manifestId(world.keys)}`);
    const failed = Math.floor(gets / 3);
    expect(segments.length).toBeLessThanOrEqual(new Set(segments).size + failed);
  });

  test("Z6: a backup that was changed while it was read is begun anew, and nothing deleted meanwhile comes back", async () => {
    const world = await setUp();
    await sayManySegments(world);
    await keep(world);
    const into = await openSqliteStore(join(root, String(folders++)));
    let gets = 0;
    world.vault.interfere = (call) => (call.startsWith("get") && ++gets === 4 ? "fail" : undefined);
    await expect(restored(world, into)).rejects.toThrow();
    await world.store.write([{ table: "messages", key: messageKey(world.conversation, 1, 0), value: null }]);
    await keep(world);
    const { outcome, messages } = await restored(world, into);
    expect(outcome).toEqual({ rows: 11, missing: 0 });
    expect(messages).toEqual(await world.store.scan("messages"));
  });

  test("Z5: segments that the server changes, swaps or withholds are never taken in; the rest is, and the loss is counted", async () => {
    const world = await setUp();
    await sayManySegments(world);
    await keep(world);
    const { manifest } = (await restored(world)).found;
    const [a, b, c, d] = manifest.segments.map(({ id }) => world.vault.objects.get(id));
    if (!a || !b || !c || !d) throw new Error("too few segments for this test");
    [a.bytes, b.bytes] = [b.bytes, a.bytes];
    c.bytes = c.bytes.map((byte, index) => (index === 5_000 ? byte ^ 1 : byte));
    world.vault.objects.delete(manifest.segments[3]?.id as VaultId);
    const { outcome, messages } = await restored(world);
    expect(outcome.missing).toBe(4);
    const whole = await world.store.scan("messages");
    for (const { key, value } of messages) expect(whole.find((row) => row.key === key)?.value).toEqual(value);
    expect(messages.length).toBe(outcome.rows);
  });

  test("Z5: what another phrase has sealed, or another member, is no backup", async () => {
    const world = await setUp();
    await say(world, 1, "text");
    await keep(world);
    const { vault, keys } = world;
    const manifest = vault.objects.get(manifestId(keys));
    for (const other of [
      { ...keys, backupKey: randomBytes(32) },
      { ...keys, member: newId<MemberId>() },
    ]) {
      if (manifest) vault.objects.set(manifestId(other), manifest);
      expect(await findBackup({ keys: other, vault })).toBeUndefined();
    }
  });

  test("Z7: a device that has restored goes on with the backup where it is, once it takes over", async () => {
    const world = await setUp();
    await sayManySegments(world);
    await keep(world);
    const { store } = await restored(world);
    const later = { ...world, store, options: { ...world.options, store, device: newId<DeviceId>() } };
    expect(await keep(later)).toEqual({ kind: "kept_elsewhere", keeper: world.options.device });
    expect(await keep(later, { takeOver: true })).toEqual({ kind: "kept", written: 0, dropped: 0 });
    expect(await keep(later)).toEqual({ kind: "kept", written: 0, dropped: 0 });
    await say(world, 13, "not this device's any more");
    expect(await keep(world)).toEqual({ kind: "contested" });
    expect(await keep(world)).toEqual({ kind: "kept_elsewhere", keeper: later.options.device });
  });
});

describe("keeper", () => {
  test("Z7: a server that shows an older backup, or none, is noticed before anything is written over", async () => {
    const world = await setUp();
    const id = manifestId(world.keys);
    await say(world, 1, "one");
    await keep(world);
    const old = world.vault.objects.get(id);
    await say(world, 2, "two");
    await keep(world);
    await say(world, 3, "three");
    if (old) world.vault.objects.set(id, { ...old, tag: "restored" });
    expect(await keep(world)).toEqual({ kind: "contested" });
    expect(await keep(world)).toEqual({ kind: "rolled_back" });
    world.vault.objects.delete(id);
    expect(await keep(world)).toEqual({ kind: "rolled_back" });
    expect(await keep(world, { takeOver: true })).toMatchObject({ kind: "kept" });
    expect((await restored(world)).messages).toHaveLength(3);
  });

  test("Z7: after a new phrase the whole backup is sealed anew, and the old phrase opens nothing that is left", async () => {
    const world = await setUp();
    await say(world, 1, "one");
    await keep(world);
    const old = world.keys;
    const keys = { ...old, backupKey: randomBytes(32) };
    const renewed = { ...world, keys, options: { ...world.options, keys }, shared: { ...world.shared, keys } };
    expect(await keep(renewed)).toMatchObject({ kind: "kept", written: 1 });
    expect((await restored(renewed)).messages).toHaveLength(1);
    expect(world.vault.objects.has(manifestId(old))).toBe(false);
    expect(await textsInVault(world)).toEqual([]);
  });
});
