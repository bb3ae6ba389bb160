// Runs of a backup that look only at what has changed: they must end where runs that look at everything would.

import fc from "fast-check";
import { expect, test } from "vitest";
import { ChangedRows } from "../../../client/engine/backup/changed.ts";
import { engineRows, PORTABLE_TABLES } from "../../../client/engine/backup/engine-rows.ts";
import { keepBackup } from "../../../client/engine/backup/keeper.ts";
import { findBackup, restoreBackup } from "../../../client/engine/backup/restore.ts";
import { Batch, messageKey } from "../../../client/engine/records.ts";
import type { Store } from "../../../client/engine/store.ts";
import { randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { type ConversationId, type DeviceId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";
import { memoryStore } from "../../support/memory-store.ts";
import { MemoryVault } from "../../support/memory-vault.ts";

const HOUR = 3_600_000;
const SOON = 2 * HOUR;
const account = utf8("account");
const portable = engineRows({ note: () => undefined });

/** A profile with its vault; `looked` counts rows read one by one and in scans of what could be portable. */
async function setUp() {
  const clock = { now: 1_000 * 24 * HOUR };
  const now = () => clock.now;
  const vault = new MemoryVault(now);
  const keys = { tenant: newId<TenantId>(), member: newId<MemberId>(), backupKey: randomBytes(32) };
  const inner = memoryStore();
  const looked = { scans: 0, rows: 0 };
  const counting: Store = {
    ...inner,
    get: (table, key) => {
      if (table !== "meta") looked.rows += 1;
      return inner.get(table, key);
    },
    scan: (table, range) => {
      if (table !== "meta") looked.scans += 1;
      return inner.scan(table, range);
    },
  };
  const device = newId<DeviceId>();
  const open = () => ChangedRows.open(counting, PORTABLE_TABLES);
  const keep = (changed: ChangedRows) =>
    keepBackup({ keys, device, store: changed.store, shelf: "backup", vault, portable, changed, now }, { account });
  return { clock, now, vault, keys, inner, looked, open, keep, conversation: newId<ConversationId>() };
}
type World = Awaited<ReturnType<typeof setUp>>;

function say({ conversation }: World, seq: number, { text = "x", expiresAt = null as number | null } = {}) {
  const batch = new Batch();
  const key = messageKey(conversation, seq, 0);
  batch.put("messages", key, { key, seq, from: null, at: 1, body: { kind: "text", text }, expiresAt });
  return batch.writes;
}

const unsay = ({ conversation }: World, seq: number) =>
  [{ table: "messages", key: messageKey(conversation, seq, 0), value: null }] as const;

/** What a device that restores the backup has afterwards. */
async function restored({ keys, vault, now }: World) {
  const store = memoryStore();
  const found = await findBackup({ keys, vault });
  if (found === undefined) throw new Error("no backup");
  expect((await restoreBackup({ keys, shelf: "backup", vault, store, portable, now }, found)).missing).toBe(0);
  return store.scan("messages");
}

/** What must be in a backup: all but what has expired; what expires soon may be. */
async function assertKept(world: World) {
  const lifeOf = (value: Uint8Array<ArrayBuffer>) => portable.pack("messages", "", value)?.expiresAt ?? Infinity;
  const rows = await world.inner.scan("messages");
  const there = rows.filter(({ value }) => lifeOf(value) > world.clock.now);
  const must = there.filter(({ value }) => lifeOf(value) - world.clock.now > SOON + 24 * HOUR);
  const kept = await restored(world);
  expect(kept.every((row) => there.some(({ key, value }) => key === row.key && equal(value, row.value)))).toBe(true);
  expect(must.every((row) => kept.some(({ key, value }) => key === row.key && equal(value, row.value)))).toBe(true);
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

test("G28: a run after the first reads only what has changed, also after a restart", async () => {
  const world = await setUp();
  let changed = await world.open();
  for (let seq = 1; seq <= 300; seq++) await changed.store.write(say(world, seq));
  expect(await world.keep(changed)).toMatchObject({ kind: "kept" });
  await changed.store.write([...say(world, 301), ...unsay(world, 7), ...say(world, 8, { text: "other" })]);
  changed = await world.open();
  Object.assign(world.looked, { scans: 0, rows: 0 });
  expect(await world.keep(changed)).toMatchObject({ kind: "kept" });
  expect(world.looked.scans).toBe(0);
  await assertKept(world);
  Object.assign(world.looked, { scans: 0, rows: 0 });
  expect(await world.keep(changed)).toEqual({ kind: "kept", written: 0, dropped: 0 });
  expect(world.looked).toEqual({ scans: 0, rows: 0 });
});

test("G28: a run that was cut off, and rows changed while one was under way, are not forgotten", async () => {
  const world = await setUp();
  const changed = await world.open();
  await changed.store.write(say(world, 1));
  await world.keep(changed);
  await changed.store.write(say(world, 2));
  world.vault.interfere = (call) => (call.startsWith("put") ? "fail" : undefined);
  await expect(world.keep(changed)).rejects.toMatchObject({ code: "unavailable" });
  let during: Promise<void> | undefined;
  world.vault.interfere = (call) => {
    if (call.startsWith("put")) during ??= changed.store.write([...say(world, 2, { text: "later" }), ...say(world, 3)]);
    return undefined;
  };
  await world.keep(changed);
  await during;
  await world.keep(changed);
  expect(await restored(world)).toHaveLength(3);
  await assertKept(world);
});

test("G28: what was stored while its answer was lost is known from the next run on", async () => {
  const world = await setUp();
  const changed = await world.open();
  await changed.store.write(say(world, 1));
  await world.keep(changed);
  await changed.store.write(say(world, 2));
  let puts = 0;
  world.vault.interfere = (call) => (call.startsWith("put") && puts++ === 1 ? "lose" : undefined);
  await expect(world.keep(changed)).rejects.toMatchObject({ code: "unavailable" });
  world.vault.interfere = () => undefined;
  expect(await world.keep(changed)).toEqual({ kind: "kept", written: 0, dropped: 0 });
  await changed.store.write(say(world, 3));
  expect(await world.keep(changed)).toMatchObject({ kind: "kept" });
  await assertKept(world);
});

test("G28: after any writes, deletions, times and restarts the backup is what there is", async () => {
  const seq = fc.integer({ min: 1, max: 12 });
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("say" as const),
      seq,
      text: fc.string({ maxLength: 3 }),
      life: fc.option(fc.nat(200)),
    }),
    fc.record({ kind: fc.constant("unsay" as const), seq }),
    fc.record({ kind: fc.constant("wait" as const), hours: fc.nat(40) }),
    fc.record({ kind: fc.constantFrom("keep" as const, "restart" as const, "fail" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const world = await setUp();
      let changed = await world.open();
      for (const each of steps) {
        if (each.kind === "say") {
          const expiresAt = each.life === null ? null : world.clock.now + each.life * HOUR + 1;
          await changed.store.write(say(world, each.seq, { text: each.text, expiresAt }));
        } else if (each.kind === "unsay") await changed.store.write(unsay(world, each.seq));
        else if (each.kind === "wait") world.clock.now += each.hours * HOUR;
        else if (each.kind === "restart") changed = await world.open();
        else {
          let puts = 0;
          world.vault.interfere = (call) =>
            each.kind === "fail" && call.startsWith("put") && puts++ === 1 ? "lose" : undefined;
          await world.keep(changed).catch(() => undefined);
          world.vault.interfere = () => undefined;
        }
      }
      expect((await world.keep(changed)).kind).toBe("kept");
      await assertKept(world);
    }),
    { numRuns: 150 },
  );
});
