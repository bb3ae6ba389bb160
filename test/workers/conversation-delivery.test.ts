// How envelopes reach devices that listen, lag or are away, asked of the real objects.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type EnvelopesFrame, MailboxServerFrame, type Nudge, type WelcomeItem } from "../../schemas/frames.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { MailboxObject } from "../../workers/mailbox/object.ts";
import { eventually } from "./support/eventually.ts";
import { Line } from "./support/line.ts";
import { type Device, device, type Peer, Room } from "./support/room.ts";

afterEach(() => vi.restoreAllMocks());

async function two(): Promise<{ room: Room; first: Peer; second: Peer; other: Device }> {
  const other = device();
  const { room, first } = await Room.full(other);
  return { room, first, second: await room.enter(other, 1), other };
}

/** What waits in a device's mailbox. */
async function mail(room: Room, who: Device): Promise<{ nudges: Nudge[]; welcomes: WelcomeItem[] }> {
  const line = await Line.open(room.mailbox(who.member), room.claims(who), MailboxServerFrame);
  line.say({ type: "resume", after: 0 });
  line.raw("not a frame");
  await line.next((frame): frame is Extract<MailboxServerFrame, { type: "refused" }> => frame.type === "refused");
  const nudges = line.unread().flatMap((frame) => (frame.type === "nudges" ? frame.nudges : []));
  const welcomes = line.unread().flatMap((frame) => (frame.type === "welcomes" ? frame.welcomes : []));
  return { nudges, welcomes };
}

/** Resolves when everything up to `seq` is in the log. */
/** Waits until the log has got to `seq`; what was pushed to `peer` until then is passed over. */
const stored = (peer: Peer, seq: number) =>
  eventually(async () => {
    while (peer.socket.unread().some(({ type }) => type === "envelopes")) await peer.next("envelopes");
    expect((await peer.pull(seq)).head).toBe(seq);
  });

const outbox = (room: Room) =>
  runInDurableObject(room.stub, (_, { storage }) =>
    storage.sql.exec<{ attempts: number; due_at: number }>("SELECT attempts, due_at FROM effects").toArray(),
  );

describe("flow control", () => {
  test("D21: who has not confirmed a window is told once that it is behind, and the others notice nothing", async () => {
    const { room, first, second } = await two();
    const third = device(first.who.member);
    const stalled = await room.enter(third, 1);
    for (let turn = 0; turn < LIMITS.windowEnvelopes + 100; turn++) {
      first.post(1, `${turn}`);
      if (turn % 50 === 49) {
        await first.until(turn + 2);
        for (const peer of [first, second]) peer.confirm(turn + 2);
      }
    }
    const last = LIMITS.windowEnvelopes + 101;
    expect((await second.until(last)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: last - 1 }, (_, index) => index + 2),
    );
    await stalled.next("behind");
    const pushed = stalled.socket.unread().filter(({ type }) => type === "envelopes") as EnvelopesFrame[];
    const reached = pushed.at(-1)?.envelopes.at(-1)?.seq ?? 0;
    expect(reached).toBeLessThanOrEqual(LIMITS.windowEnvelopes + 1);
    expect(stalled.socket.unread().some(({ type }) => type === "behind")).toBe(false);
  });

  test("D22: who pulled to the head gets what comes in again, without a gap", async () => {
    const { room, first, second } = await two();
    const last = LIMITS.windowEnvelopes + 51;
    for (let seq = 2; seq <= last; seq++) first.post(1, `${seq}`);
    await second.next("behind");
    await stored(first, last);
    const fresh = await room.enter(second.who, 1);
    const caught = await fresh.pullAll(1);
    expect(caught.map(({ seq }) => seq)).toEqual(Array.from({ length: last - 1 }, (_, index) => index + 2));
    first.post(1, "more");
    expect((await fresh.until(last + 1)).map(({ seq }) => seq)).toEqual([last + 1]);
  });

  test("D23: the window counts bytes too", async () => {
    const { first, second } = await two();
    for (let turn = 0; turn < 6; turn++) first.post(1, "x".repeat(60_000));
    await second.next("behind");
    const pushed = second.socket.unread().filter(({ type }) => type === "envelopes") as EnvelopesFrame[];
    const size = pushed.flatMap(({ envelopes }) => envelopes).reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
    expect(size).toBeLessThanOrEqual(LIMITS.windowBytes);
  });

  test("D24: who is behind and silent for a minute is closed", async () => {
    const { first, second } = await two();
    for (let turn = 0; turn < 6; turn++) first.post(1, "x".repeat(60_000));
    await second.next("behind");
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 61_000);
    first.post(1, "one more");
    expect(await second.socket.closed).toEqual({ code: 4000, reason: "unavailable" });
  });

  test("D25: a page ends at the size of a page", async () => {
    const { room, first } = await two();
    for (let turn = 0; turn < 20; turn++) first.post(1, "x".repeat(60_000));
    await stored(first, 21);
    const reader = await room.enter(room.founder, 0);
    const { envelopes } = await reader.pull(1);
    expect(envelopes.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0)).toBeLessThanOrEqual(LIMITS.pageBytes);
    expect((await reader.pullAll(1)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 2),
    );
  });
});

describe("delivered", () => {
  test("D26: an envelope is delivered when one device of every participant has confirmed it", async () => {
    const { room, first, second } = await two();
    const phone = device(second.who.member);
    const idle = await room.enter(phone, 1);
    await idle.commit({ epoch: 1, sender: null, joiner: phone });
    first.post(2, "hello");
    for (const peer of [first, second]) await peer.until(3);
    first.confirm(3);
    second.confirm(3);
    expect((await first.next("delivered")).seq).toBe(3);
  });

  test("D26: what was confirmed on an earlier socket counts at the next resume", async () => {
    const { room, first, second, other } = await two();
    await first.send(1, "hello");
    first.confirm(2);
    second.confirm(2);
    await second.pull(2);
    second.socket.close();
    await second.socket.closed;
    await evictDurableObject(room.stub);
    const again = await room.enter(room.founder, 2);
    again.socket.say({ type: "group_info" });
    await again.next("group_info");
    expect((await (await room.connect(other)).resume(0)).delivered).toBe(2);
  });

  test("D27: nobody can confirm what there is not", async () => {
    const { first } = await two();
    first.confirm(99);
    expect(await first.refusal()).toMatchObject({ code: "malformed" });
  });
});

describe("nudges", () => {
  test("D28: a device that is away is nudged once until it comes", async () => {
    const { room, first, other, second } = await two();
    second.confirm(1);
    await second.pull(1);
    second.socket.close();
    await second.socket.closed;
    const before = (await mail(room, other)).nudges.at(-1)?.n ?? 0;
    for (let turn = 0; turn < 3; turn++) await first.send(1, `${turn}`);
    await eventually(async () => expect(await outbox(room)).toEqual([]));
    const [nudge] = (await mail(room, other)).nudges;
    expect(nudge).toEqual({ n: before + 1, about: { kind: "conversation", conversation: room.conversation, seq: 2 } });
    const back = await room.enter(other, 4);
    back.confirm(4);
    await back.pull(4);
    back.socket.close();
    await back.socket.closed;
    await first.send(1, "again");
    await eventually(async () => expect((await mail(room, other)).nudges[0]?.n).toBe(before + 2));
  });

  test("D39: whoever is let in is told at once, and once, before any commit adds a device", async () => {
    const { room, first } = await two();
    const late = device();
    await room.openMailbox(late);
    for (let turn = 0; turn < 2; turn++) {
      await room.stub.admit({ by: room.founder.member, member: late.member });
    }
    await eventually(async () => expect(await outbox(room)).toEqual([]));
    const about = { kind: "conversation", conversation: room.conversation, seq: 1 };
    expect((await mail(room, late)).nudges).toEqual([{ n: 1, about }]);
    expect(first.socket.unread()).toEqual([]);
  });

  test("D29: a device that goes before it has confirmed everything is nudged as it goes", async () => {
    const { room, first, second, other } = await two();
    const before = (await mail(room, other)).nudges.at(-1)?.n ?? 0;
    await first.send(1, "did you get this?");
    await second.until(2);
    second.socket.close();
    await eventually(async () => expect((await mail(room, other)).nudges.at(-1)?.n).toBe(before + 1));
  });
});

describe("effects", () => {
  test("D30: a welcome waits in the mailbox of every added device, with the place in the log it belongs to", async () => {
    const { room, other, first } = await two();
    await eventually(async () => expect(await outbox(room)).toEqual([]));
    const [welcome] = (await mail(room, other)).welcomes;
    const { envelopes } = await first.pull(0);
    expect(welcome).toMatchObject({
      conversation: room.conversation,
      seq: 1,
      bytes: new TextEncoder().encode("welcome"),
    });
    expect(envelopes).toHaveLength(1);
  });

  test("D31: what could not be carried out stays written down and is tried again by the alarm", async () => {
    const other = device();
    const fault = vi.spyOn(MailboxObject.prototype, "welcome").mockImplementation(() => {
      throw new Error("no line");
    });
    const { room } = await Room.full(other);
    await eventually(async () => expect(await outbox(room)).toMatchObject([{ attempts: 1 }]));
    expect(await runInDurableObject(room.stub, (_, { storage }) => storage.getAlarm())).toBeLessThan(
      Date.now() + 3_000,
    );
    await evictDurableObject(room.stub);
    fault.mockRestore();
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 10_000);
    await runDurableObjectAlarm(room.stub);
    expect(await outbox(room)).toEqual([]);
    expect((await mail(room, other)).welcomes).toHaveLength(1);
  });

  test("O30: word of a dismissal that comes late tells nobody out who is in again", async () => {
    const other = device();
    const { room } = await Room.full(other);
    await eventually(async () => expect(await outbox(room)).toEqual([]));
    const fault = vi.spyOn(MailboxObject.prototype, "nudge").mockImplementation(() => {
      throw new Error("no line");
    });
    const { member: by } = room.founder;
    await room.stub.dismiss({ by, role: "member", member: other.member });
    await eventually(async () => expect(await outbox(room)).toMatchObject([{ attempts: 1 }]));
    fault.mockRestore();
    await room.stub.admit({ by, member: other.member });
    await eventually(async () => expect(await outbox(room)).toHaveLength(1));
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 10_000);
    await runDurableObjectAlarm(room.stub);
    expect(await outbox(room)).toEqual([]);
    const { nudges } = await mail(room, other);
    expect(nudges.map(({ about }) => about.kind)).toEqual(["conversation"]);
  });

  test("D32: the bytes of a welcome are stored once for all and go with the last of them", async () => {
    const others = [device(), device(), device()];
    const fault = vi.spyOn(MailboxObject.prototype, "welcome").mockImplementation(() => {
      throw new Error("no line");
    });
    const { room } = await Room.full(...others);
    const parcels = () =>
      runInDurableObject(room.stub, (_, { storage }) => storage.sql.exec("SELECT n FROM parcels").toArray().length);
    await eventually(async () => expect(await outbox(room)).toHaveLength(3));
    expect(await parcels()).toBe(1);
    fault.mockRestore();
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 10_000);
    await runDurableObjectAlarm(room.stub);
    expect(await parcels()).toBe(0);
    for (const who of others) expect((await mail(room, who)).welcomes).toHaveLength(1);
  });
});
