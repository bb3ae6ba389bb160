// The devices of one member against a real server: that they agree on what was read, pinned and muted, and how they find each other.

import { describe, expect, test } from "vitest";
import { loadAccount } from "../../client/engine/account.ts";
import { createApi, createDoor } from "../../client/engine/api.ts";
import { sign } from "../../client/engine/group/device-keys.ts";
import { type ConversationRecord, decodeRecord } from "../../client/engine/records.ts";
import { selfConversation } from "../../client/engine/siblings.ts";
import { createTokens } from "../../client/engine/token.ts";
import type { ConversationView, KeyState } from "../../client/engine/view.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import type { Company, Person } from "../support/company.ts";
import { eachWithCompany } from "../support/hooks.ts";
import type { RealServer } from "../support/real-server.ts";

const PATIENCE = { timeout: 30_000, interval: 50 };
let server: RealServer;
let company: Company;

eachWithCompany((fresh, its) => {
  company = fresh;
  server = its;
});

function viewOf({ engine }: Person, id: ConversationId): ConversationView | undefined {
  return engine.snapshot().conversations.find((each) => each.id === id);
}

/** Waits until a person's device shows this of a conversation. */
async function sees(person: Person, id: ConversationId, what: Partial<ConversationView>): Promise<void> {
  await expect.poll(() => viewOf(person, id), PATIENCE).toMatchObject(what);
}

/** Waits until a device shows this of another member's key. */
async function keyIs({ engine }: Person, { id }: Person, state: KeyState): Promise<void> {
  await expect.poll(() => engine.snapshot().members.find((one) => one.id === id)?.key, PATIENCE).toBe(state);
}

/** What a device keeps of the conversation of its member with itself. */
async function selfOf({ store }: Person): Promise<ConversationRecord | undefined> {
  const records = (await store.scan("conversations")).map(({ value }) => decodeRecord<ConversationRecord>(value));
  return records.find(({ kind }) => kind === "self");
}

/** Waits until devices hear each other in one epoch of one conversation with itself. */
async function meet(...devices: Person[]): Promise<void> {
  for (const device of devices) {
    await expect.poll(() => selfOf(device), PATIENCE).toMatchObject({ state: "active", lost: false });
    await device.settled();
  }
}

async function apiOf({ store }: Person) {
  const account = await loadAccount(store);
  if (account === undefined) throw new Error("no account");
  const { tenant, device, signatureKeys } = account;
  const signIn = { tenant: tenant.id, device, sign: (bytes: Uint8Array) => sign(signatureKeys.privateKey, bytes) };
  const tokens = createTokens({ door: createDoor({ server: server.url }), ...signIn });
  return { account, api: createApi({ server: server.url, tokens }) };
}

describe("devices of one member", () => {
  test("G20, G24: what is read on one device is read on the other, also when that was away; people see nothing of how", async () => {
    const { anna, bert, id } = await company.pair();
    await bert.engine.send(id, "eins");
    await sees(anna, id, { unread: 1 });
    const phone = await company.link(anna, "Phone");
    await sees(phone, id, { unread: 1 });
    await meet(anna, phone);
    await anna.engine.read(id);
    await sees(phone, id, { unread: 0 });

    await phone.close();
    await bert.engine.send(id, "zwei");
    await bert.engine.send(id, "drei");
    await sees(anna, id, { unread: 2 });
    await anna.engine.read(id);
    await anna.settled();
    await bert.engine.send(id, "vier");
    await sees(anna, id, { unread: 1 });
    await phone.open();
    await phone.settled();
    await phone.shows(id, ["eins", "zwei", "drei", "vier"]);
    await sees(phone, id, { unread: 1 });

    for (const device of [anna, phone]) {
      expect(device.engine.snapshot().conversations.map((each) => each.id)).toEqual([id]);
      const self = (await selfOf(device))?.id as ConversationId;
      const shown = async () => device.engine.timeline(self);
      await expect(shown()).rejects.toMatchObject({ code: "not_found" });
      expect(await device.store.scan("messages", { prefix: `${self}/` })).toEqual([]);
    }
    expect([...anna.faults, ...bert.faults, ...phone.faults]).toEqual([]);
  });

  test("G25: who is let into the meeting while it is open asks the others, and has then nothing left to tell", async () => {
    for (const name of ["Anna", "Bert", "Carl"]) {
      const [first] = (await company.found(name)) as [Person];
      const phone = await company.link(first, `${name}s Phone`);
      // So it is the other device that founds it, mostly, and this one comes in by a welcome
      await first.close();
      await phone.settled();
      await first.open();
      await first.settled();
      await meet(first, phone);
      expect([...first.faults, ...phone.faults]).toEqual([]);
    }
  });

  test("G20: many readings in a row are told in few messages, and the last one before a device is closed", async () => {
    const { anna, bert, id } = await company.pair();
    const phone = await company.link(anna, "Phone");
    await meet(anna, phone);
    const before = (await selfOf(phone))?.cursor ?? 0;
    const beganAt = Date.now();
    for (let count = 1; count <= 20; count++) {
      await bert.engine.send(id, `${count}`);
      await sees(anna, id, { unread: 1 });
      await anna.engine.read(id);
    }
    await sees(phone, id, { unread: 0, last: { from: bert.id, text: "20", at: expect.any(Number) } });
    const told = ((await selfOf(phone))?.cursor ?? 0) - before;
    expect(told).toBeLessThanOrEqual(Math.ceil((Date.now() - beganAt) / 3_000) + 1);

    await bert.engine.send(id, "noch eine");
    await sees(phone, id, { unread: 1 });
    await sees(anna, id, { unread: 1 });
    await phone.engine.read(id);
    await phone.close();
    await sees(anna, id, { unread: 0 });
    expect([...anna.faults, ...bert.faults, ...phone.faults]).toEqual([]);
  });

  test("G21: pinning and muting hold on every device, and of two changes the later one stands, whoever was away", async () => {
    const { anna, bert, id } = await company.pair();
    const other = await anna.engine.create({ title: "Verkauf", members: [bert.id] });
    await anna.settled();
    await anna.engine.pin(id, true);
    const phone = await company.link(anna, "Phone");
    await sees(phone, id, { pinned: true });
    await meet(anna, phone);
    expect(phone.engine.snapshot().conversations.map((each) => each.id)).toEqual([id, other]);

    const until = Date.now() + 3_600_000;
    await phone.engine.mute(other, until);
    await expect.poll(() => Math.abs((viewOf(anna, other)?.muted?.until ?? 0) - until) < 5_000, PATIENCE).toBe(true);
    await anna.engine.mute(other, null);
    await sees(phone, other, { muted: { until: null } });

    await phone.close();
    await phone.open({ offline: true });
    await phone.engine.unmute(other);
    await phone.engine.pin(id, false);
    await anna.engine.pin(id, true);
    await anna.settled();
    await phone.reopen();
    await sees(anna, other, { muted: null });
    await sees(phone, id, { pinned: true });
    await sees(anna, id, { pinned: true });
    expect([...anna.faults, ...bert.faults, ...phone.faults]).toEqual([]);
  });

  test("G22: two devices that found the conversation of their member with itself at once have one", async () => {
    const { anna, bert, id } = await company.pair();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const asked: string[] = [];
    const hold = (who: string) => async (method: string, path: string) => {
      if (method !== "POST" || path !== "/api/conversations") return;
      asked.push(who);
      await gate;
    };
    const phone = await company.link(anna, "Phone", { beforeRequest: hold("phone") });
    await anna.reopen({ beforeRequest: hold("anna") });
    await expect.poll(() => [...asked].sort(), PATIENCE).toEqual(["anna", "phone"]);
    open();
    await meet(anna, phone);
    const { account, api } = await apiOf(anna);
    const self = selfConversation(account);
    expect((await selfOf(anna))?.id).toBe(self);
    expect((await selfOf(phone))?.id).toBe(self);
    expect((await api.conversations()).map((each) => each.id).sort()).toEqual([id, self].sort());
    await bert.engine.send(id, "hallo");
    await sees(phone, id, { unread: 1 });
    await sees(anna, id, { unread: 1 });
    await phone.engine.read(id);
    await sees(anna, id, { unread: 0 });
    expect([...anna.faults, ...bert.faults, ...phone.faults]).toEqual([]);
  });

  test("G23: a revoked device hears nothing more of the others, and they go on", async () => {
    const { anna, bert, id } = await company.pair();
    const phone = await company.link(anna, "Phone");
    const tablet = await company.link(anna, "Tablet");
    await meet(anna, phone, tablet);
    const lost = (await anna.engine.devices()).find(({ name }) => name === "Phone");
    await anna.engine.revokeDevice(lost?.id as never);
    await expect.poll(() => phone.engine.snapshot().phase, PATIENCE).toBe("ended");
    await anna.engine.pin(id, true);
    await sees(tablet, id, { pinned: true });
    const group = (await selfOf(tablet))?.generation;
    expect(group).toBe(0);
    expect(viewOf(phone, id)?.pinned).toBe(false);
    expect([...anna.faults, ...bert.faults, ...tablet.faults]).toEqual([]);
  });

  test("G24: a member with one device has no conversation with itself", async () => {
    const { anna, bert, id } = await company.pair();
    await bert.engine.send(id, "eins");
    await sees(anna, id, { unread: 1 });
    await anna.engine.read(id);
    await anna.engine.pin(id, true);
    await anna.reopen();
    await anna.settled();
    await sees(anna, id, { pinned: true, unread: 0 });
    const { api } = await apiOf(anna);
    expect((await api.conversations()).map((each) => each.id)).toEqual([id]);
  });

  test("G25: what one device found while the others were away, a device that comes in later is told", async () => {
    const { anna, bert, id } = await company.pair();
    const phone = await company.link(anna, "Phone");
    await meet(anna, phone);
    await bert.engine.send(id, "eins");
    await sees(anna, id, { unread: 1 });
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    // The tablet has its history, and does not get further until the others have gone on
    const tablet = await company.link(anna, "Tablet", {
      beforeRequest: (method, path) => (method === "GET" && path === "/api/conversations" ? gate : Promise.resolve()),
    });
    await sees(tablet, id, { unread: 1, pinned: false });
    await phone.engine.read(id);
    await phone.engine.pin(id, true);
    await phone.settled();
    await sees(anna, id, { unread: 0, pinned: true });
    await anna.settled();
    await phone.close();
    open();
    await sees(tablet, id, { unread: 0, pinned: true });
    expect([...anna.faults, ...bert.faults, ...phone.faults, ...tablet.faults]).toEqual([]);
  });

  test("G49: a key compared on one device is compared on every other, also on one away, linked or restored later; likewise taken back", async () => {
    const { anna, bert } = await company.pair();
    const phone = await company.link(anna, "Phone");
    await meet(anna, phone);
    await anna.engine.verify(bert.id, true);
    await keyIs(phone, bert, "verified");
    expect((await phone.engine.safety(bert.id)).verifiedAt).toBe((await anna.engine.safety(bert.id)).verifiedAt);
    expect(bert.engine.snapshot().members.find(({ id }) => id === anna.id)?.key).toBe("known");

    await phone.close();
    await anna.engine.verify(bert.id, false);
    await anna.settled();
    await phone.open();
    await keyIs(phone, bert, "known");
    await phone.engine.verify(bert.id, true);
    await keyIs(anna, bert, "verified");

    // The tablet hears nothing of the others: what it knows was handed over
    const never = new Promise<void>(() => undefined);
    const tablet = await company.link(anna, "Tablet", {
      beforeRequest: (method, path) => (method === "GET" && path === "/api/conversations" ? never : Promise.resolve()),
    });
    await keyIs(tablet, bert, "verified");
    await tablet.close();

    const words = await anna.engine.recoveryWords();
    await anna.engine.backUp();
    // Nobody is there to tell it: what it knows was in the backup
    await anna.close();
    await phone.close();
    const again = company.person("Anna again");
    await again.open();
    await again.engine.recover({ phrase: words?.join(" ") ?? "", deviceName: "Laptop" });
    await keyIs(again, bert, "verified");
    expect([...anna.faults, ...bert.faults, ...phone.faults, ...again.faults]).toEqual([]);
  });

  test("G49: a changed key keeps every device from sending, and looking at it on one of them is enough", async () => {
    const { anna, bert, id } = await company.pair();
    const phone = await company.link(anna, "Phone");
    await meet(anna, phone);
    await anna.engine.verify(bert.id, true);
    await keyIs(phone, bert, "verified");
    const link = await anna.engine.inviteAgain(bert.id, 3_600_000);
    const back = company.person("Bert's new laptop");
    await back.open();
    await back.engine.join({ link, name: "", deviceName: "Neu" });
    for (const device of [anna, phone]) {
      await keyIs(device, bert, "changed");
      expect((await device.engine.safety(bert.id)).wasVerified).toBe(true);
    }
    await back.settled();
    await phone.engine.send(id, "Bist du es?");
    await sees(phone, id, { held: { reason: "changed", members: [bert.id] } });
    await anna.engine.verify(bert.id, true);
    await keyIs(phone, bert, "verified");
    await back.shows(id, ["Bist du es?"]);
    expect([...anna.faults, ...phone.faults, ...back.faults]).toEqual([]);
  });

  test("G29: a device says what it is, of its own member's saying alone", async () => {
    const [anna, bert] = (await company.found("Anna", "Bert")) as [Person, Person];
    const [device] = await anna.engine.devices(bert.id);
    expect(device?.kind).toBe("terminal");
    const other = (await apiOf(anna)).api;
    await expect(other.describeDevice(device?.id as never, "phone")).rejects.toMatchObject({ code: "not_found" });
    await (await apiOf(bert)).api.describeDevice(device?.id as never, "phone");
    expect(await anna.engine.devices(bert.id)).toMatchObject([{ kind: "phone" }]);
  });
});
