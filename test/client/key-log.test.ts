// Reading a key log from servers that are honest and servers that are not: what was rolled back, forked, slipped in or left out is noticed.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { KeyLog } from "../../client/engine/key-log.ts";
import type { Store } from "../../client/engine/store.ts";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { type DeviceId, newId, type TenantId } from "../../schemas/ids.ts";
import { encodeKeyEvent, type KeyEvent } from "../../schemas/key-event.ts";
import { Log, newMember as newMemberOf, serverOf } from "../support/fake-key-log.ts";

const root = mkdtempSync(join(tmpdir(), "kuvert-keylog-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const tenant = newId<TenantId>();
const newMember = () => newMemberOf(tenant);

async function reader(log: Log) {
  const store = await openSqliteStore(join(root, String(folders++)));
  const { at, door } = serverOf(log);
  const open = (on: Store = store) => KeyLog.load({ ...door, store: on, tenant });
  return { store, at, open, keyLog: await open() };
}

describe("an honest log", () => {
  test("J4: is read once, in pages, and known again after a restart", async () => {
    const [anna, bert] = [await newMember(), await newMember()];
    const log = new Log().add(...anna.events, ...bert.events, {
      type: "revoked",
      member: bert.member,
      device: bert.device,
    });
    log.page = 2;
    const { keyLog, open } = await reader(log);
    expect(await keyLog.update()).toEqual({
      kind: "current",
      news: [
        { kind: "member", member: anna.member },
        { kind: "device", member: anna.member, device: anna.device },
        { kind: "member", member: bert.member },
        { kind: "device", member: bert.member, device: bert.device },
        { kind: "revoked", member: bert.member, device: bert.device },
      ],
    });
    for (const one of [keyLog, await open()]) {
      expect(one.head).toEqual(log.head());
      expect(one.identityKey(anna.member)).toEqual(anna.identity.publicKey);
      expect(one.device(anna.device)).toMatchObject({ member: anna.member, revoked: false });
      expect(one.device(bert.device)).toMatchObject({ member: bert.member, revoked: true });
    }
    log.asked = [];
    expect(await keyLog.update()).toEqual({ kind: "current", news: [] });
    expect(log.asked).toEqual(["/api/keys/head"]);
  });

  test("J4: grows while it is read without being taken for a lie", async () => {
    const [anna, bert] = [await newMember(), await newMember()];
    const log = new Log().add(...anna.events);
    const { keyLog, at } = await reader(log);
    const head = log.head();
    const later = log.copy().add(...bert.events);
    later.answer = (
      (original) => (url: URL) =>
        url.pathname === "/api/keys/head" ? { ...head, root: toBase64url(head.root) } : original(url)
    )(later.answer.bind(later));
    at.log = later;
    expect(await keyLog.update()).toMatchObject({ kind: "current" });
    expect(keyLog.head).toEqual(head);
  });
});

describe("a dishonest log", () => {
  test("J5: that is shorter than it was is rolled back, and nothing of it counts", async () => {
    const [anna, bert] = [await newMember(), await newMember()];
    const log = new Log().add(...anna.events, ...bert.events);
    const { keyLog, at, open } = await reader(log);
    await keyLog.update();
    at.log = log.copy(2);
    expect(await keyLog.update()).toEqual({ kind: "rolled_back" });
    expect((await open()).head).toEqual(log.head());
  });

  test("J5: that has another past is forked, also when it has grown since", async () => {
    const [anna, bert, ghost] = [await newMember(), await newMember(), await newMember()];
    const log = new Log().add(...anna.events, ...bert.events);
    const { keyLog, at } = await reader(log);
    await keyLog.update();
    const other = log.copy(2).add(...ghost.events);
    at.log = other;
    expect(await keyLog.update()).toEqual({ kind: "forked" });
    at.log = other.add(...bert.events);
    expect(await keyLog.update()).toEqual({ kind: "forked" });
    expect(keyLog.identityKey(ghost.member)).toBeUndefined();
  });

  test("J5: whose leaves are not those of its head, or that has fewer than it says, is forked", async () => {
    const [anna, bert] = [await newMember(), await newMember()];
    const log = new Log().add(...anna.events);
    const { keyLog } = await reader(log);
    const [leaf] = log.leaves;
    log.leaves[0] = encodeKeyEvent(bert.memberEvent);
    expect(await keyLog.update()).toEqual({ kind: "forked" });
    if (leaf) log.leaves[0] = leaf;
    log.claimed = 5;
    expect(await keyLog.update()).toEqual({ kind: "forked" });
    log.claimed = undefined;
    expect(await keyLog.update()).toMatchObject({ kind: "current" });
  });

  test("J6: a ghost device that the member has not certified is told and never known", async () => {
    const [anna, mallory] = [await newMember(), await newMember()];
    const ghost = newId<DeviceId>();
    const stolen = await anna.deviceEvent(anna.device, mallory.identity);
    const log = new Log().add(...anna.events, await anna.deviceEvent(ghost, mallory.identity), stolen);
    const { keyLog } = await reader(log);
    const state = await keyLog.update();
    expect(state.kind === "current" && state.news.slice(2)).toEqual([
      { kind: "uncertified", member: anna.member, device: ghost },
      { kind: "uncertified", member: anna.member, device: anna.device },
    ]);
    expect(keyLog.device(ghost)).toBeUndefined();
    expect(keyLog.device(anna.device)?.member).toBe(anna.member);
  });

  test("J6: a member whose identity key was replaced is told as such, and so is a leaf nobody can read", async () => {
    const anna = await newMember();
    const log = new Log().add(...anna.events, { type: "member", member: anna.member, identityKey: randomBytes(32) });
    log.add({ type: "other" } as unknown as KeyEvent);
    const { keyLog } = await reader(log);
    const state = await keyLog.update();
    expect(state.kind === "current" && state.news.slice(2)).toEqual([
      { kind: "rekeyed", member: anna.member },
      { kind: "unknown" },
    ]);
  });

  test("J7: a server that shows two people two logs is caught by the first head they exchange", async () => {
    const [anna, bert, ghost] = [await newMember(), await newMember(), await newMember()];
    const log = new Log().add(...anna.events);
    const forAnna = log.copy().add(...bert.events, ...ghost.events);
    const forBert = log.copy().add(...bert.events);
    const [a, b] = [await reader(forAnna), await reader(forBert)];
    await a.keyLog.update();
    await b.keyLog.update();
    // Not yet a lie: Anna may simply have read more
    expect(await a.keyLog.compare(b.keyLog.head)).toEqual({ kind: "current", news: [] });
    // Bert is told of something the server does not show him
    expect(await b.keyLog.compare(a.keyLog.head)).toEqual({ kind: "rolled_back" });
    forBert.add({ type: "removed", member: anna.member }, { type: "removed", member: bert.member });
    expect(await b.keyLog.compare(a.keyLog.head)).toEqual({ kind: "forked" });
    await b.keyLog.update();
    expect(await a.keyLog.compare(b.keyLog.head)).toEqual({ kind: "forked" });
  });

  test("J7: heads of any age from honest people agree", async () => {
    const members = await Promise.all(Array.from({ length: 5 }, newMember));
    const log = new Log();
    const { keyLog } = await reader(log);
    for (const { events } of members) {
      const before = log.head();
      log.add(...events);
      expect(await keyLog.compare(log.head())).toMatchObject({ kind: "current" });
      expect(await keyLog.compare(before)).toMatchObject({ kind: "current" });
    }
    for (let size = 0; size <= 10; size++)
      expect(await keyLog.compare(log.head(size))).toMatchObject({ kind: "current" });
    const fresh = await reader(log);
    log.mute = true;
    expect(await fresh.keyLog.compare(log.head(3))).toEqual({ kind: "forked" });
    log.mute = false;
    for (let size = 1; size <= 10; size++) {
      expect(await keyLog.compare({ size, root: randomBytes(32) })).toEqual({ kind: "forked" });
    }
  });
});
