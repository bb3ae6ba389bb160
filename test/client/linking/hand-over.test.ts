// Sealing a history for another device: how far it is, going on after a cut, and what becomes of timers.

import { expect, test } from "vitest";
import { engineRows } from "../../../client/engine/backup/engine-rows.ts";
import { findBackup, restoreBackup } from "../../../client/engine/backup/restore.ts";
import { createIdentityKeys } from "../../../client/engine/group/device-keys.ts";
import { dropHistory, sealHistory, shelfOf } from "../../../client/engine/linking/hand-over.ts";
import {
  type AccountRecord,
  Batch,
  decodeRecord,
  type MessageRecord,
  messageKey,
} from "../../../client/engine/records.ts";
import { randomBytes } from "../../../schemas/bytes.ts";
import { type ConversationId, type DeviceId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";
import { memoryStore } from "../../support/memory-store.ts";
import { MemoryVault } from "../../support/memory-vault.ts";

const DAY = 86_400_000;
const NOW = 1_000 * DAY;

/** A history of twelve messages, each in a part of its own, because they expire on different days; one is over, one never is. */
async function setUp() {
  const clock = { now: NOW };
  const store = memoryStore();
  const conversation = newId<ConversationId>();
  const batch = new Batch();
  const lives = [-1, null, ...Array.from({ length: 10 }, (_, index) => index + 5)];
  for (const [index, days] of lives.entries()) {
    const key = messageKey(conversation, index + 1, 0);
    const expiresAt = days === null ? null : NOW + days * DAY;
    batch.put("messages", key, {
      key,
      seq: index + 1,
      from: null,
      at: 1,
      body: { kind: "text", text: "x" },
      expiresAt,
    });
  }
  await store.write(batch.writes);
  const account = {
    tenant: { id: newId<TenantId>(), name: "Bäckerei", residency: "eu" },
    member: { id: newId<MemberId>(), name: "Anna", role: "owner" },
    device: newId<DeviceId>(),
    identityKeys: await createIdentityKeys(),
  } as AccountRecord;
  return { clock, store, account, vault: new MemoryVault(() => clock.now), now: () => clock.now };
}

test("P8: the device that hands over tells how far it is, and after a cut goes on with what is missing", async () => {
  const { store, account, vault, now } = await setUp();
  const seen: { done: number; total: number }[] = [];
  const sealing = { store, vault, now, onProgress: (progress: { done: number; total: number }) => seen.push(progress) };
  let left = 8;
  vault.interfere = (call) => (call.startsWith("put") && left-- <= 0 ? "fail" : undefined);
  const history = randomBytes(32);
  await expect(sealHistory(sealing, account, history)).rejects.toMatchObject({ code: "unavailable" });
  const there = new Set(vault.objects.keys());
  expect(seen[0]).toEqual({ done: 0, total: 11 });
  expect(seen.at(-1)?.done).toBeGreaterThan(3);
  vault.interfere = () => undefined;
  vault.calls.length = 0;
  seen.length = 0;
  await sealHistory(sealing, account, history);
  expect(seen[0]?.done).toBeGreaterThan(3);
  expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).toSorted((a, b) => a - b));
  expect(seen.at(-1)).toEqual({ done: 11, total: 11 });
  expect(vault.calls.filter((call) => call.startsWith("put")).length).toBeLessThan(12);
  expect([...there].filter((id) => vault.objects.has(id)).length).toBeGreaterThan(3);
});

test("P9: what has expired is not handed over, and what will keeps its time; called off, nothing of it stays", async () => {
  const { store, account, vault, now, clock } = await setUp();
  const history = await sealHistory({ store, vault, now }, account);
  const keys = { tenant: account.tenant.id, member: account.member.id, backupKey: history };
  clock.now += 6 * DAY;
  const other = memoryStore();
  const timers: number[] = [];
  const portable = engineRows({ note: (_, { at }) => timers.push(at) });
  const found = await findBackup({ keys, vault });
  if (found === undefined) throw new Error("nothing was handed over");
  await restoreBackup({ keys, shelf: shelfOf(history), vault, store: other, portable, now }, found);
  const rows = (await other.scan("messages")).map(({ value }) => decodeRecord<MessageRecord>(value));
  const lives = rows.map(({ expiresAt }) => (expiresAt === null ? null : (expiresAt - NOW) / DAY));
  // Two days ran out on the way; a part leaves the vault up to a day before what is in it
  expect(lives.filter((life) => life === null || life >= 8)).toEqual([null, 8, 9, 10, 11, 12, 13, 14]);
  expect(lives.every((life) => life === null || life > 6)).toBe(true);
  expect(timers.toSorted()).toEqual(rows.flatMap(({ expiresAt }) => expiresAt ?? []).toSorted());
  await dropHistory(vault);
  expect(await vault.list()).toEqual([]);
});
