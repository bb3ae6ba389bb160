// A conversation that is begun anew in a new generation of its group, asked of the real object: who may, whom it seats, what stays.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../schemas/bytes.ts";
import { type CommitFrame, MailboxServerFrame } from "../../schemas/frames.ts";
import { eventually } from "./support/eventually.ts";
import { Line } from "./support/line.ts";
import { publicCommit } from "./support/mls-bytes.ts";
import { type Device, device, type Peer, Room } from "./support/room.ts";

/** A reset by the device of `peer`. */
const reset = (peer: Peer, added: readonly Device[] = [], generation = 1): CommitFrame =>
  peer.commitFrame({ generation, epoch: 0, sender: 0, added });

async function refusalOf(peer: Peer, frame: CommitFrame) {
  peer.socket.say(frame);
  return peer.refusal();
}

const later = (by: number) => {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + by);
};

afterEach(() => vi.restoreAllMocks());

describe("E40: a reset begins the next generation", () => {
  test("E40: it is one more envelope of the same log; then its group is spoken in, and the old one no more", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const peer = await room.enter(other, 1);
    await first.send(1, "before");
    await peer.until(2);
    peer.socket.say(reset(peer, [room.founder]));
    expect((await peer.until(3)).at(-1)).toMatchObject({ seq: 3 });
    await first.until(3);
    const { head } = await first.resumeAgain();
    expect(head).toMatchObject({ seq: 3, generation: 1, epoch: 1 });
    peer.post(1, "old");
    expect(await peer.refusal()).toMatchObject({ code: "stale_generation", detail: { generation: 1 } });
    const { envelopes } = await peer.send(1, "new", { generation: 1 });
    expect(envelopes[0]).toMatchObject({ seq: 4 });
    peer.socket.say({ type: "group_info" });
    expect(await peer.next("group_info")).toMatchObject({ bytes: utf8("group info after 1/0") });
  });

  test("E40: whoever can add nobody begins alone, and whoever founded and is gone is in nobody's way", async () => {
    const other = device();
    const room = await Room.found(other);
    await room.stub.expel(room.founder);
    const peer = await room.enter(other);
    await peer.next("removals");
    peer.socket.say(reset(peer));
    await peer.until(1);
    const { envelopes } = await peer.send(1, "here", { generation: 1 });
    expect(envelopes[0]).toMatchObject({ seq: 2 });
  });

  test("E40: only as the first commit of the next generation, made by who is alone in it", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const { conversation } = room;
    const of = (generation: number, epoch: number, sender: number) => first.commitFrame({ generation, epoch, sender });
    expect(await refusalOf(first, of(2, 0, 0))).toMatchObject({ code: "stale_generation" });
    expect(await refusalOf(first, of(1, 1, 0))).toMatchObject({ code: "stale_generation" });
    expect(await refusalOf(first, of(1, 0, 1))).toMatchObject({ code: "commit_forbidden" });
    const removing = first.commitFrame({ generation: 1, epoch: 0, sender: 0, removed: [1] });
    expect(await refusalOf(first, removing)).toMatchObject({ code: "commit_forbidden" });
    const joiner = room.credential(room.founder);
    const external = publicCommit({ conversation, generation: 1, epoch: 0 }, { sender: null, joiner });
    expect(await refusalOf(first, { ...reset(first), bytes: external })).toMatchObject({ code: "commit_forbidden" });
    expect((await first.resumeAgain()).head).toMatchObject({ seq: 1, generation: 0, epoch: 1 });
  });
});

describe("E41: whom a reset seats", () => {
  test("E41: nobody who is not in the conversation, was shut out, is named twice, or is not welcomed", async () => {
    const [other, revoked, gone] = [device(), device(), device()];
    const { room, first } = await Room.full(other, revoked, gone);
    await room.stub.expel(revoked);
    await room.stub.dismiss({ by: room.founder.member, role: "member", member: gone.member });
    const forbidden = { code: "commit_forbidden" };
    for (const who of [device(), revoked, gone])
      expect(await refusalOf(first, reset(first, [who]))).toMatchObject(forbidden);
    expect(await refusalOf(first, reset(first, [other, other]))).toMatchObject(forbidden);
    expect(await refusalOf(first, reset(first, [room.founder]))).toMatchObject(forbidden);
    expect(await refusalOf(first, { ...reset(first, [other]), welcomes: [] })).toMatchObject(forbidden);
    const welcomes = [{ devices: [other, gone], bytes: utf8("welcome") }];
    expect(await refusalOf(first, { ...reset(first, [other]), welcomes })).toMatchObject(forbidden);
    expect((await first.resumeAgain()).head).toMatchObject({ seq: 1, generation: 0 });
  });

  test("E41: whoever it adds is welcomed in the mailbox, with its place in the log", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const mailbox = await Line.open(room.mailbox(other.member), room.claims(other), MailboxServerFrame);
    mailbox.say({ type: "resume", after: 0 });
    first.socket.say(reset(first, [other]));
    const { hash } = await first.next("envelopes");
    const welcomed = await mailbox.next(
      (frame): frame is Extract<typeof frame, { type: "welcomes" }> =>
        frame.type === "welcomes" && frame.welcomes.some(({ seq }) => seq === 2),
    );
    expect(welcomed.welcomes.at(-1)).toMatchObject({ conversation: room.conversation, seq: 2, hash });
  });

  test("E41: whoever it leaves out may not send, and comes in by itself", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const peer = await room.enter(other, 1);
    first.socket.say(reset(first));
    await first.until(2);
    await peer.until(2);
    peer.post(1, "not in", { generation: 1 });
    expect(await peer.refusal()).toMatchObject({ code: "forbidden" });
    peer.socket.say(peer.commitFrame({ generation: 1, epoch: 1, sender: null, joiner: other }));
    await peer.until(3);
    const { envelopes } = await peer.send(2, "in", { generation: 1 });
    expect(envelopes[0]).toMatchObject({ seq: 4 });
  });
});

describe("E42: what becomes of the old seats", () => {
  test("E42: removals that were pending are settled, and everybody may speak", async () => {
    const [other, gone] = [device(), device()];
    const { room, first } = await Room.full(other, gone);
    await room.stub.dismiss({ by: room.founder.member, role: "member", member: gone.member });
    await first.next("removals");
    first.post(1, "held");
    expect(await first.refusal()).toMatchObject({ code: "removal_pending" });
    first.socket.say(reset(first, [other]));
    await first.until(2);
    await first.send(1, "free", { generation: 1 });
    await evictDurableObject(room.stub);
    const again = await room.enter(room.founder, 3);
    await again.send(1, "still", { generation: 1 });
  });

  test("E42, E15: it survives an eviction between any two steps", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const evict = async () => {
      await runInDurableObject(room.stub, () => {});
      await evictDurableObject(room.stub, { webSockets: "hibernate" });
    };
    await evict();
    first.socket.say(reset(first));
    await first.until(2);
    await evict();
    const peer = await room.enter(other, 1);
    await peer.pull(1);
    peer.socket.say(peer.commitFrame({ generation: 1, epoch: 1, sender: null, joiner: other }));
    await peer.until(3);
    await evict();
    await peer.send(2, "in", { generation: 1 });
    await first.until(4);
  });
});

describe("D40: what came before a reset is kept for whoever can still read it", () => {
  test("D40: also for a device that the reset left out, until it has confirmed it", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    await first.send(1, "unread");
    first.socket.say(reset(first));
    await first.until(3);
    first.confirm(3);
    await evictDurableObject(room.stub);
    later(31_000);
    await runDurableObjectAlarm(room.stub);
    const peer = await room.connect(other);
    expect((await peer.resume(1)).first).toBe(2);
    expect((await peer.pull(1)).envelopes.map(({ seq }) => seq)).toEqual([2, 3]);
    peer.confirm(3);
    const again = await room.enter(room.founder, 3);
    await eventually(async () => {
      await runDurableObjectAlarm(room.stub);
      expect((await again.resumeAgain()).first).toBe(4);
    });
  });

  test("D40: also for one that it welcomes, which reads on in the new group; it is nudged until it comes", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    await first.send(1, "unread");
    first.socket.say(reset(first, [other]));
    await first.until(3);
    first.confirm(3);
    later(31_000);
    await runDurableObjectAlarm(room.stub);
    const mailbox = await Line.open(room.mailbox(other.member), room.claims(other), MailboxServerFrame);
    mailbox.say({ type: "resume", after: 0 });
    const { nudges } = await mailbox.next(
      (frame): frame is Extract<typeof frame, { type: "nudges" }> => frame.type === "nudges",
    );
    expect(nudges.map(({ about }) => about)).toContainEqual(expect.objectContaining({ kind: "conversation" }));
    const peer = await room.connect(other);
    expect((await peer.resume(1)).first).toBe(2);
  });

  test("D34, D40: begun anew twice, a device that is away finds both welcomes, and the log from where it left", async () => {
    const [other, third] = [device(), device()];
    const { room, first } = await Room.full(other, third);
    const peer = await room.enter(third, 1);
    await first.send(1, "before");
    first.socket.say(reset(first, [other, third]));
    await first.until(3);
    await first.send(1, "between", { generation: 1 });
    later(10_001);
    await peer.until(4);
    peer.socket.say(reset(peer, [room.founder, other], 2));
    await first.until(5);
    await first.send(1, "after", { generation: 2 });
    for (const one of [first, peer]) one.confirm(6);
    await evictDurableObject(room.stub);
    vi.restoreAllMocks();
    later(60_000);
    await runDurableObjectAlarm(room.stub);
    const mailbox = await Line.open(room.mailbox(other.member), room.claims(other), MailboxServerFrame);
    mailbox.say({ type: "resume", after: 0 });
    const seqs: number[] = [];
    while (seqs.at(-1) !== 5) {
      const { welcomes } = await mailbox.next(
        (frame): frame is Extract<typeof frame, { type: "welcomes" }> => frame.type === "welcomes",
      );
      seqs.push(...welcomes.map(({ seq }) => seq));
    }
    expect(seqs).toEqual([1, 3, 5]);
    const back = await room.connect(other);
    expect(await back.resume(1)).toMatchObject({ first: 2, head: { seq: 6, generation: 2 } });
    expect((await back.pull(1)).envelopes.map(({ seq, bytes }) => [seq, bytes !== null])).toEqual(
      [2, 3, 4, 5, 6].map((seq) => [seq, true]),
    );
  });

  test("D40: not for one that was revoked or whose member was dismissed since", async () => {
    const [other, gone] = [device(), device()];
    const { room, first } = await Room.full(other, gone);
    first.socket.say(reset(first));
    await first.until(2);
    first.confirm(2);
    await room.stub.expel(other);
    await room.stub.dismiss({ by: room.founder.member, role: "member", member: gone.member });
    const again = await room.enter(room.founder, 2);
    later(31_000);
    await eventually(async () => {
      await runDurableObjectAlarm(room.stub);
      expect((await again.resumeAgain()).first).toBe(3);
    });
  });
});

test("E43: of several that notice at the same time one begins anew, and the others are told that it is done", async () => {
  const others = [device(), device(), device()];
  const { room, first } = await Room.full(...others);
  const peers = [first, ...(await Promise.all(others.map((who) => room.enter(who, 1))))];
  for (const peer of peers) peer.socket.say(reset(peer));
  const codes = () =>
    peers.flatMap((peer) => peer.socket.unread().flatMap((frame) => (frame.type === "refused" ? [frame.code] : [])));
  await eventually(() => expect(codes()).toEqual(["stale_generation", "stale_generation", "stale_generation"]));
  expect((await first.resumeAgain()).head).toMatchObject({ seq: 2, generation: 1, epoch: 1 });
});

describe("E44: how often", () => {
  test("E44: not twice within ten seconds by anybody, not twice within ten minutes by one member", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const peer = await room.enter(other, 1);
    first.socket.say(reset(first));
    await peer.until(2);
    const tooSoon = await refusalOf(peer, reset(peer, [], 2));
    expect(tooSoon).toMatchObject({ code: "rate_limited" });
    expect(tooSoon.detail).toHaveProperty("retryAfter", expect.closeTo(10_000, -4));
    later(10_001);
    const ownTooSoon = await refusalOf(first, reset(first, [], 2));
    expect(ownTooSoon).toMatchObject({ code: "rate_limited" });
    expect(Number((ownTooSoon.detail as { retryAfter: number }).retryAfter)).toBeGreaterThan(500_000);
    await evictDurableObject(room.stub);
    const back = await room.enter(room.founder, 2);
    expect(await refusalOf(back, reset(back, [], 2))).toMatchObject({ code: "rate_limited" });
    const peerBack = await room.enter(other, 2);
    peerBack.socket.say(reset(peerBack, [], 2));
    await peerBack.until(3);
    vi.restoreAllMocks();
    later(700_000);
    back.socket.say(reset(back, [], 3));
    await back.until(4);
    expect((await back.resumeAgain()).head).toMatchObject({ seq: 4, generation: 3, epoch: 1 });
  });

  test("E44: a reset that comes again is known, and counts once", async () => {
    const { first } = await Room.full(device());
    const frame = reset(first);
    first.socket.say(frame);
    await first.until(2);
    first.socket.say(frame);
    expect(await first.next("accepted")).toMatchObject({ seq: 2 });
  });

  test("E44: a clock that was set back keeps nobody waiting", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    first.socket.say(reset(first));
    await first.until(2);
    later(-3_600_000);
    const peer = await room.enter(other, 2);
    peer.socket.say(reset(peer, [], 2));
    await peer.until(3);
  });
});
