// What a member's mailbox keeps, hands out and forgets, asked of the real object.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { randomBytes, utf8 } from "../../schemas/bytes.ts";
import { MailboxServerFrame } from "../../schemas/frames.ts";
import { type ConversationId, newId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { ConversationObject } from "../../workers/conversation/object.ts";
import { eventually } from "./support/eventually.ts";
import { Line } from "./support/line.ts";
import { type Device, device, Room, refusedBy } from "./support/room.ts";

const LATER = 4_000_000_000_000;
const oneTime = (label: string, expiresAt = LATER) => ({ bytes: utf8(label), expiresAt, lastResort: false });
const lastResort = (label: string, expiresAt = LATER) => ({ bytes: utf8(label), expiresAt, lastResort: true });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

afterEach(() => vi.restoreAllMocks());

/** A member with one device, and its mailbox. */
async function open() {
  const room = new Room();
  const who = room.founder;
  await room.openMailbox(who);
  const mailbox = room.mailbox(who.member);
  const claim = async () => (await mailbox.claim()).map(({ bytes }) => text(bytes));
  return { room, who, mailbox, claim };
}

type Frame<Type extends MailboxServerFrame["type"]> = Extract<MailboxServerFrame, { type: Type }>;

/** A device's socket to its mailbox. */
async function listen(room: Room, who: Device, after = 0) {
  const line = await Line.open(room.mailbox(who.member), room.claims(who), MailboxServerFrame);
  const next = <Type extends MailboxServerFrame["type"]>(type: Type) =>
    line.next((frame): frame is Frame<Type> => frame.type === type);
  line.say({ type: "resume", after });
  return { line, next, ready: await next("ready") };
}

describe("key packages", () => {
  test("K1: each is handed out once, the oldest first, and the last resort as often as it is needed", async () => {
    const { who, mailbox, claim } = await open();
    const packages = [lastResort("last"), oneTime("a"), oneTime("b")];
    expect(await mailbox.stock({ device: who.device, packages })).toEqual({ stock: 2 });
    const claimed = [await claim(), await claim(), await claim(), await claim()];
    expect(claimed).toEqual([["a"], ["b"], ["last"], ["last"]]);
  });

  test("K1: also across evictions", async () => {
    const { who, mailbox, claim } = await open();
    await mailbox.stock({ device: who.device, packages: [oneTime("a"), oneTime("b")] });
    expect(await claim()).toEqual(["a"]);
    await evictDurableObject(mailbox);
    expect([await claim(), await claim()]).toEqual([["b"], []]);
  });

  test("K1: two claims at once never get the same one", async () => {
    const { who, mailbox, claim } = await open();
    const packages = Array.from({ length: 20 }, (_, index) => oneTime(`${index}`));
    await mailbox.stock({ device: who.device, packages });
    const claimed = (await Promise.all(packages.map(claim))).flat();
    expect(new Set(claimed).size).toBe(20);
  });

  test("K2: a package that was handed out is not taken in again, however often it is brought", async () => {
    const { who, mailbox, claim } = await open();
    const packages = [oneTime("a")];
    await mailbox.stock({ device: who.device, packages });
    expect(await claim()).toEqual(["a"]);
    expect(await mailbox.stock({ device: who.device, packages })).toEqual({ stock: 0 });
    expect(await claim()).toEqual([]);
  });

  test("K3: an expired package is never handed out, the last resort neither", async () => {
    const { who, mailbox, claim } = await open();
    const soon = Date.now() + 10_000;
    await mailbox.stock({ device: who.device, packages: [oneTime("a", soon), lastResort("last", soon)] });
    vi.spyOn(Date, "now").mockReturnValue(soon);
    expect(await claim()).toEqual([]);
    expect(await mailbox.stock({ device: who.device, packages: [oneTime("b", soon)] })).toEqual({ stock: 0 });
  });

  test("K4: a device may keep so many and no more; what is too much changes nothing", async () => {
    const { who, mailbox } = await open();
    const packages = Array.from({ length: LIMITS.keyPackagesPerDevice }, (_, index) => oneTime(`${index}`));
    await mailbox.stock({ device: who.device, packages });
    expect(await refusedBy(() => mailbox.stock({ device: who.device, packages: [oneTime("more")] }))).toBe("quota");
    expect(await mailbox.stock({ device: who.device, packages: [lastResort("last")] })).toEqual({
      stock: packages.length,
    });
  });

  test("K5: a new last resort replaces the old one", async () => {
    const { who, mailbox, claim } = await open();
    for (const label of ["old", "new"]) await mailbox.stock({ device: who.device, packages: [lastResort(label)] });
    expect([await claim(), await claim()]).toEqual([["new"], ["new"]]);
  });

  test("K6: one package for every device in use, none for a device without stock", async () => {
    const { room, who, mailbox } = await open();
    const [phone, empty] = [device(who.member), device(who.member)];
    for (const other of [phone, empty]) await room.openMailbox(other);
    for (const { device: id } of [who, phone]) await mailbox.stock({ device: id, packages: [oneTime(id)] });
    expect((await mailbox.claim()).map(({ device: id }) => id).sort()).toEqual([who.device, phone.device].sort());
  });

  test("K7: a listening device hears how much stock is left", async () => {
    const { room, who, mailbox } = await open();
    await mailbox.stock({ device: who.device, packages: [oneTime("a"), oneTime("b"), lastResort("c")] });
    const { next, ready } = await listen(room, who);
    expect(ready).toMatchObject({ stock: 2, lastResort: true });
    await mailbox.claim();
    expect((await next("stock")).stock).toBe(1);
  });
});

describe("queue", () => {
  const welcome = (conversation: ConversationId, seq = 1, generation = 0) => ({
    conversation,
    generation,
    seq,
    hash: randomBytes(32),
    bytes: utf8(`welcome ${seq}`),
  });

  test("D33: a welcome waits until its device confirms it, also through evictions, and comes once however often it is brought", async () => {
    const { room, who, mailbox } = await open();
    const item = { devices: [who.device], ...welcome(newId()) };
    for (let turn = 0; turn < 3; turn++) await mailbox.welcome(item);
    await evictDurableObject(mailbox);
    const first = await listen(room, who);
    const { welcomes } = await first.next("welcomes");
    expect(welcomes.map(({ bytes }) => text(bytes))).toEqual(["welcome 1"]);
    const again = await listen(room, who);
    expect((await again.next("welcomes")).welcomes).toEqual(welcomes);
    again.line.say({ type: "confirm", welcome: welcomes[0]?.n ?? 0 });
    again.line.say({ type: "resume", after: 0 });
    await again.next("refused");
    await mailbox.welcome(item);
    const last = await listen(room, who);
    await mailbox.nudge({ kind: "directory" });
    await last.next("nudges");
    expect(last.line.unread()).toEqual([]);
  });

  /** The places in the log of all welcomes that a device finds when it comes. */
  async function found(room: Room, who: Device) {
    // No nudge that waits is told, so that the next one comes after everything that waits
    const { line, next } = await listen(room, who, Number.MAX_SAFE_INTEGER);
    await room.mailbox(who.member).nudge({ kind: "directory" });
    await next("nudges");
    return line.unread().flatMap((frame) => (frame.type === "welcomes" ? frame.welcomes.map(({ seq }) => seq) : []));
  }

  test("D34: a newer welcome to the same generation of a conversation takes the place of an older one", async () => {
    const { room, who, mailbox } = await open();
    const conversation = newId<ConversationId>();
    for (const seq of [1, 9, 5]) await mailbox.welcome({ devices: [who.device], ...welcome(conversation, seq) });
    expect(await found(room, who)).toEqual([9]);
  });

  test("D34: one to every generation waits, and they come in the order of the log, however they were brought", async () => {
    const { room, who, mailbox } = await open();
    const conversation = newId<ConversationId>();
    const places = [
      [30, 2],
      [10, 0],
      [25, 1],
      [20, 1],
    ] as const;
    for (const [seq, generation] of places)
      await mailbox.welcome({ devices: [who.device], ...welcome(conversation, seq, generation) });
    await evictDurableObject(mailbox);
    expect(await found(room, who)).toEqual([10, 25, 30]);
  });

  test("D41: those to the eight latest generations are kept, confirmed or not; an earlier one that is brought again is not taken in", async () => {
    const { room, who, mailbox } = await open();
    const conversation = newId<ConversationId>();
    const bring = (generation: number) =>
      mailbox.welcome({ devices: [who.device], ...welcome(conversation, 10 + generation, generation) });
    for (let generation = 0; generation < 10; generation++) await bring(generation);
    expect(await found(room, who)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
    const { line, next } = await listen(room, who);
    const { welcomes } = await next("welcomes");
    line.say({ type: "confirm", welcome: welcomes[0]?.n ?? 0 });
    line.say({ type: "resume", after: 0 });
    await next("refused");
    for (const generation of [0, 1, 2]) await bring(generation);
    expect(await found(room, who)).toEqual([13, 14, 15, 16, 17, 18, 19]);
    const rows = await runInDurableObject(mailbox, (_, { storage }) =>
      storage.sql.exec<{ generation: number }>("SELECT generation FROM welcomes ORDER BY generation").toArray(),
    );
    expect(rows.map(({ generation }) => generation)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("D35: a welcome for a device that is not this member's is passed over", async () => {
    const { room, who, mailbox } = await open();
    await mailbox.welcome({ devices: [newId(), who.device], ...welcome(newId()) });
    const { next, line } = await listen(room, who);
    await next("welcomes");
    expect(line.unread()).toEqual([]);
  });

  test("D36: nudges are numbered in order, one is kept per conversation, and only newer ones are told", async () => {
    const { room, who, mailbox } = await open();
    const [a, b] = [newId<ConversationId>(), newId<ConversationId>()];
    for (const [conversation, seq] of [
      [a, 1],
      [b, 1],
      [a, 7],
    ] as const)
      await mailbox.nudge({ kind: "conversation", conversation, seq });
    await evictDurableObject(mailbox);
    const all = await listen(room, who);
    expect((await all.next("nudges")).nudges).toEqual([
      { n: 2, about: { kind: "conversation", conversation: b, seq: 1 } },
      { n: 3, about: { kind: "conversation", conversation: a, seq: 7 } },
    ]);
    const newer = await listen(room, who, 2);
    expect((await newer.next("nudges")).nudges.map(({ n }) => n)).toEqual([3]);
    await mailbox.nudge({ kind: "removed", conversation: b });
    expect((await newer.next("nudges")).nudges).toEqual([{ n: 4, about: { kind: "removed", conversation: b } }]);
  });

  test("D36: every device of the member is told", async () => {
    const { room, who, mailbox } = await open();
    const phone = device(who.member);
    const ends = [await listen(room, who), await listen(room, phone)];
    await mailbox.nudge({ kind: "directory" });
    for (const { next } of ends)
      expect((await next("nudges")).nudges).toEqual([{ n: 1, about: { kind: "directory" } }]);
  });
});

describe("access", () => {
  test("A32: a revoked device's socket closes at once, its packages and welcomes go, and its conversations are told", async () => {
    const { room, who, mailbox, claim } = await open();
    await room.stub.found({ ...room.founding, creator: who });
    await mailbox.stock({ device: who.device, packages: [oneTime("a")] });
    const { line } = await listen(room, who);
    await evictDurableObject(mailbox);
    await mailbox.expel({ device: who.device, conversations: [room.conversation] });
    expect(await line.closed).toEqual({ code: 4000, reason: "device_revoked" });
    expect(await claim()).toEqual([]);
    expect(await refusedBy(() => mailbox.stock({ device: who.device, packages: [oneTime("b")] }))).toBe(
      "device_revoked",
    );
    const again = await Line.open(mailbox, room.claims(who), MailboxServerFrame);
    expect(await again.closed).toEqual({ code: 4000, reason: "device_revoked" });
    await eventually(async () => {
      const peer = await room.connect(who);
      expect(await peer.socket.closed).toEqual({ code: 4000, reason: "device_revoked" });
    });
  });

  test("A33: a removed member's devices are all out, and it is dismissed from its conversations", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const peer = await room.enter(other, 1);
    await room.mailbox(other.member).close({ conversations: [room.conversation] });
    expect(await peer.socket.closed).toEqual({ code: 4000, reason: "not_found" });
    expect((await first.next("removals")).leaves).toEqual([1]);
    const line = await Line.open(room.mailbox(other.member), room.claims(device(other.member)), MailboxServerFrame);
    expect(await line.closed).toEqual({ code: 4000, reason: "device_revoked" });
  });

  test("A34: what a conversation could not be told is told later", async () => {
    const { room, first } = await Room.full();
    const mailbox = room.mailbox(room.founder.member);
    const fault = vi.spyOn(ConversationObject.prototype, "expel").mockImplementation(() => {
      throw new Error("no line");
    });
    await mailbox.expel({ device: room.founder.device, conversations: [room.conversation] });
    const attempts = () =>
      runInDurableObject(mailbox, (_, { storage }) => storage.sql.exec("SELECT attempts FROM effects").toArray());
    await eventually(async () => expect(await attempts()).toEqual([{ attempts: 1 }]));
    await evictDurableObject(mailbox);
    fault.mockRestore();
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 10_000);
    await runDurableObjectAlarm(mailbox);
    expect(await first.socket.closed).toEqual({ code: 4000, reason: "device_revoked" });
    expect(await attempts()).toEqual([]);
  });

  test("A35: a mailbox nobody has opened is not found", async () => {
    const room = new Room();
    const mailbox = room.mailbox(room.founder.member);
    expect(await refusedBy(() => mailbox.nudge({ kind: "directory" }))).toBe("not_found");
    expect(await refusedBy(async () => mailbox.claim())).toBe("not_found");
  });

  test("R2: a mailbox refuses to serve a tenant of another residency", async () => {
    const room = new Room();
    const misplaced = env.MAILBOXES.getByName(`global:${room.tenant}/${room.founder.member}`);
    const opening = () => misplaced.open({ tenant: room.tenant, residency: "eu", ...room.founder });
    expect(await refusedBy(opening)).toBe("wrong_residency");
  });

  test("F12: frames that cannot be read are refused, and too many of them end the socket", async () => {
    const { room, who } = await open();
    const { line, next } = await listen(room, who);
    for (let turn = 0; turn < 20; turn++) line.raw(turn % 2 === 0 ? "text" : randomBytes(20));
    expect((await next("refused")).code).toBe("malformed");
    expect(await line.closed).toEqual({ code: 4000, reason: "malformed" });
  });
});
