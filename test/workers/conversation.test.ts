// What a conversation accepts and in which order, asked of the real object.

import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { equalBytes, randomBytes } from "../../schemas/bytes.ts";
import { chain, digestOf, GENESIS } from "../../schemas/chain.ts";
import type { Envelope } from "../../schemas/frames.ts";
import { newId, type TenantId } from "../../schemas/ids.ts";
import { Log } from "../../workers/conversation/log.ts";
import { privateMessage, publicCommit } from "./support/mls-bytes.ts";
import { device, Room, refusedBy } from "./support/room.ts";

/** The rolling hash after some envelopes, computed as a client does. */
function follow(envelopes: readonly Envelope[], hash: Uint8Array = GENESIS): Uint8Array {
  return envelopes.reduce<Uint8Array>(
    (previous, { seq, id, bytes, digest }) =>
      chain(previous, seq, bytes === null ? (digest ?? GENESIS) : digestOf(id, bytes)),
    hash,
  );
}

describe("order", () => {
  test("O10: every device sees the same envelopes in the same gapless order", async () => {
    const others = [device(), device()];
    const { room, first } = await Room.full(...others);
    const peers = await Promise.all(others.map((who) => room.enter(who, 1)));
    for (let turn = 0; turn < 5; turn++) for (const peer of [first, ...peers]) peer.post(1, `${turn}`);
    const seen = await Promise.all([first, ...peers].map((peer) => peer.until(16)));
    for (const envelopes of seen) {
      expect(envelopes.map(({ seq }) => seq)).toEqual(Array.from({ length: 15 }, (_, index) => index + 2));
      expect(envelopes).toEqual(seen[0]);
    }
  });

  test("O11: sends that come together are told in one frame", async () => {
    const { first } = await Room.full(device());
    for (let turn = 0; turn < 50; turn++) first.post(1, `${turn}`);
    let frames = 0;
    for (let seq = 1; seq < 51; frames++) seq = (await first.next("envelopes")).envelopes.at(-1)?.seq ?? seq;
    expect(frames).toBeLessThan(25);
  });

  test("O12: the rolling hash can be followed over pushed and pulled envelopes alike", async () => {
    const { room, first } = await Room.full(device());
    for (let turn = 0; turn < 5; turn++) first.post(1, `${turn}`);
    await first.until(6);
    const again = await room.enter(room.founder, 0);
    const page = await again.pull(0);
    expect(page.envelopes).toHaveLength(6);
    expect(page.hash).toEqual(follow(page.envelopes));
    const pushed = await again.send(1, "more");
    expect(pushed.hash).toEqual(follow(pushed.envelopes, page.hash));
  });

  test("O13: the same id again is answered with its seq and stored once", async () => {
    const { room, first } = await Room.full(device());
    const id = randomBytes(16);
    const { envelopes } = await first.send(1, "once", { id });
    first.post(1, "once", { id });
    expect(await first.next("accepted")).toMatchObject({ id, seq: envelopes[0]?.seq });
    const again = await room.enter(room.founder, 2);
    again.post(1, "once", { id });
    expect(await again.next("accepted")).toMatchObject({ id, seq: 2 });
    expect((await again.pull(0)).head).toBe(2);
  });

  test("O13: the same id twice in one batch is stored once", async () => {
    const { first } = await Room.full(device());
    const id = randomBytes(16);
    for (let turn = 0; turn < 10; turn++) first.post(1, "once", { id });
    const { head } = await first.next("envelopes");
    const { seq } = await first.next("accepted");
    expect([head, seq]).toEqual([2, 2]);
  });

  test("O13: a resend is known also after its epoch is over", async () => {
    const late = device();
    const { room, first } = await Room.full();
    const id = randomBytes(16);
    await first.send(1, "old", { id });
    await room.stub.admit({ by: room.founder.member, member: late.member });
    await first.commit({ epoch: 1, sender: 0, added: [late] });
    first.post(1, "old", { id });
    expect(await first.next("accepted")).toMatchObject({ seq: 2 });
  });

  test("O14: the same id with other bytes is a conflict and changes nothing", async () => {
    const { first } = await Room.full(device());
    const id = randomBytes(16);
    await first.send(1, "one", { id });
    first.post(1, "two", { id });
    expect(await first.refusal()).toMatchObject({ code: "conflict", id });
    expect((await first.pull(1)).envelopes).toHaveLength(1);
  });

  test("O15: an eviction between any two steps changes nothing", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const evict = () => evictDurableObject(room.stub);
    await evict();
    const second = await room.connect(other);
    await evict();
    await second.resume(1);
    await evict();
    for (let turn = 0; turn < 4; turn++) {
      const peer = turn % 2 === 0 ? first : second;
      peer.post(1, `${turn}`);
      for (const one of [first, second]) expect((await one.until(turn + 2)).map(({ seq }) => seq)).toEqual([turn + 2]);
      await evict();
    }
    expect((await room.enter(room.founder, 0).then((peer) => peer.pullAll(0))).map(({ seq }) => seq)).toEqual([
      1, 2, 3, 4, 5,
    ]);
  });

  test("O18: a failure in the middle of a batch leaves nothing half done, and everybody who asked is told", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const fault = vi.spyOn(Log.prototype, "enter").mockImplementationOnce(() => {
      throw new Error("the disk is tired");
    });
    first.socket.say(first.commitFrame({ epoch: 1, sender: 0 }));
    expect(await first.refusal()).toMatchObject({ code: "internal", detail: { reference: expect.any(String) } });
    fault.mockRestore();
    expect((await first.send(1, "as before")).envelopes.map(({ seq }) => seq)).toEqual([2]);
    await first.commit({ epoch: 1, sender: 0 });
    expect((await (await room.enter(other, 0)).pullAll(0)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  test("O19: without room for more a send is refused before anything is written; what is stored stays known", async () => {
    const { first } = await Room.full(device());
    const id = randomBytes(16);
    await first.send(1, "stored", { id });
    const full = vi.spyOn(Log.prototype, "full", "get").mockReturnValue(true);
    first.post(1, "too much");
    expect(await first.refusal()).toMatchObject({ code: "quota" });
    first.post(1, "stored", { id });
    expect(await first.next("accepted")).toMatchObject({ seq: 2 });
    full.mockRestore();
    expect((await first.send(1, "room again")).envelopes.map(({ seq }) => seq)).toEqual([3]);
  });

  test("O16: the first frame of a socket is resume, and there is only one", async () => {
    const { room, first } = await Room.full(device());
    const silent = await room.connect(room.founder);
    silent.socket.say({ type: "pull", after: 0 });
    expect(await silent.refusal()).toMatchObject({ code: "malformed" });
    await silent.resume(0);
    silent.socket.say({ type: "resume", after: 0 });
    expect(await silent.refusal()).toMatchObject({ code: "malformed" });
    expect(await first.socket.closed).toMatchObject({ code: 1000, reason: "replaced" });
  });
});

describe("epochs", () => {
  test("E31: of two commits for one epoch exactly one is accepted", async () => {
    const [a, b] = [device(), device()];
    const { room, first } = await Room.full(a);
    const second = await room.enter(a, 1);
    await room.stub.admit({ by: a.member, member: b.member });
    const frames = [
      first.commitFrame({ epoch: 1, sender: 0, added: [b] }),
      second.commitFrame({ epoch: 1, sender: 1, added: [b] }),
    ];
    for (const [index, peer] of [first, second].entries()) if (frames[index]) peer.socket.say(frames[index]);
    const refused = await Promise.race([first.refusal(), second.refusal()]);
    expect(refused).toMatchObject({ code: "stale_epoch", detail: { epoch: 2 } });
    expect((await first.until(2)).map(({ seq }) => seq)).toEqual([2]);
    expect((await second.until(2)).map(({ seq }) => seq)).toEqual([2]);
  });

  test("E32: a send of any epoch but the head's is refused with the current one", async () => {
    const { first } = await Room.full(device());
    for (const epoch of [0, 2]) {
      const id = first.post(epoch, "hm");
      expect(await first.refusal()).toMatchObject({ code: "stale_epoch", detail: { epoch: 1 }, id });
    }
  });

  test("E33: bytes of another group are malformed, of another generation stale", async () => {
    const { room, first } = await Room.full(device());
    const say = (place: Parameters<typeof privateMessage>[0]) =>
      first.socket.say({ type: "send", id: randomBytes(16), bytes: privateMessage(place, "x") });
    say({ conversation: newId(), epoch: 1 });
    expect(await first.refusal()).toMatchObject({ code: "malformed" });
    say({ conversation: room.conversation, epoch: 1, generation: 1 });
    expect(await first.refusal()).toMatchObject({ code: "stale_generation", detail: { generation: 0 } });
  });

  test("E34: a device without a seat may not send", async () => {
    const other = device();
    const room = await Room.found(other);
    const peer = await room.enter(other);
    peer.post(0, "hello");
    expect(await peer.refusal()).toMatchObject({ code: "forbidden" });
  });

  test("E35: the GroupInfo of the last commit is kept; before the first there is none", async () => {
    const other = device();
    const room = await Room.found(other);
    const peer = await room.enter(other);
    peer.socket.say({ type: "group_info" });
    expect(await peer.next("group_info")).toMatchObject({ bytes: null, head: { epoch: 0, seq: 0 } });
    const first = await room.enter(room.founder);
    await first.commit({ epoch: 0, sender: 0, added: [other] });
    peer.socket.say({ type: "group_info" });
    const { bytes, head } = await peer.next("group_info");
    expect(new TextDecoder().decode(bytes ?? undefined)).toBe("group info after 0");
    expect(head).toMatchObject({ epoch: 1, seq: 1, generation: 0 });
  });

  test("E36: a device that cannot follow takes its own place again by an external commit", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const lost = await room.enter(other, 1);
    await lost.commit({ epoch: 1, sender: null, joiner: other, removed: [1] });
    lost.post(2, "back");
    expect((await lost.until(3)).at(-1)?.seq).toBe(3);
    expect((await first.until(3)).map(({ seq }) => seq)).toEqual([2, 3]);
  });

  test("E36: a second device of a participant joins by an external commit", async () => {
    const { room } = await Room.full(device());
    const phone = device(room.founder.member);
    await room.openMailbox(phone);
    const peer = await room.enter(phone, 1);
    await peer.commit({ epoch: 1, sender: null, joiner: phone });
    await peer.send(2, "from the phone");
  });

  const stranger = device();
  const forbidden = Object.entries({
    "adds a device of somebody who is not in": () => ({ added: [stranger] }),
    "adds a device that is in already": (other: ReturnType<typeof device>) => ({ added: [other] }),
    "removes an active participant's device": () => ({ removed: [1] }),
    "removes itself": () => ({ removed: [0] }),
    "removes a blank leaf": () => ({ removed: [7] }),
    "has a welcome for nobody": (other: ReturnType<typeof device>) => ({
      welcomes: [{ devices: [other], bytes: randomBytes(1) }],
    }),
    "speaks for another leaf": () => ({ sender: 1 }),
    "joins by itself without leaving its own leaf": (_: unknown, founder: ReturnType<typeof device>) => ({
      sender: null,
      joiner: founder,
    }),
    "joins by itself as another device": (other: ReturnType<typeof device>) => ({
      sender: null,
      joiner: other,
      removed: [1],
    }),
    "joins by itself and removes another": (_: unknown, founder: ReturnType<typeof device>) => ({
      sender: null,
      joiner: founder,
      removed: [0, 1],
    }),
  });
  test.each(forbidden)("E37: a commit that %s is forbidden", async (_, change) => {
    const other = device();
    const { room, first } = await Room.full(other);
    first.socket.say(first.commitFrame({ epoch: 1, sender: 0, ...change(other, room.founder) }));
    expect(await first.refusal()).toMatchObject({ code: "commit_forbidden" });
    expect((await first.resumeAgain()).head).toMatchObject({ epoch: 1, seq: 1 });
  });

  test("E37: an added device without a welcome is forbidden", async () => {
    const other = device();
    const room = await Room.found(other);
    const first = await room.enter(room.founder);
    first.socket.say(first.commitFrame({ epoch: 0, sender: 0, added: [other], welcomes: [] }));
    expect(await first.refusal()).toMatchObject({ code: "commit_forbidden" });
  });

  test("E37: a credential of another tenant may not come in", async () => {
    const other = device();
    const room = await Room.found(other);
    const first = await room.enter(room.founder);
    const credential = { ...room.credential(other), tenant: newId<TenantId>() };
    const bytes = publicCommit({ conversation: room.conversation, epoch: 0 }, { sender: 0, added: [credential] });
    first.socket.say({ ...first.commitFrame({ epoch: 0, sender: 0, added: [other] }), bytes });
    expect(await first.refusal()).toMatchObject({ code: "commit_forbidden" });
  });

  test("E38: leaves fill up from the left as MLS fills them", async () => {
    const [a, b, c] = [device(), device(), device()];
    const { room, first } = await Room.full(a, b);
    await room.stub.dismiss({ by: room.founder.member, role: "member", member: a.member });
    await room.stub.admit({ by: room.founder.member, member: c.member });
    await first.commit({ epoch: 1, sender: 0, removed: [1], added: [c] });
    const third = await room.enter(c, 2);
    await third.commit({ epoch: 2, sender: 1 });
    const second = await room.enter(b, 3);
    await second.commit({ epoch: 3, sender: 2 });
  });
});

describe("access", () => {
  test("A21: a conversation is not found by strangers, by other tenants, or before it is founded", async () => {
    const { room } = await Room.full(device());
    const nobody = await room.connect(device());
    expect(await nobody.socket.closed).toEqual({ code: 4000, reason: "not_found" });
    const foreign = Object.assign(Object.create(room) as Room, { tenant: newId() });
    Object.defineProperty(foreign, "stub", { value: room.stub });
    expect(await (await foreign.connect(room.founder)).socket.closed).toEqual({ code: 4000, reason: "not_found" });
    const unfounded = new Room();
    expect(await (await unfounded.connect(unfounded.founder)).socket.closed).toEqual({
      code: 4000,
      reason: "not_found",
    });
  });

  test("A22: founding twice changes nothing; founding by another is a conflict", async () => {
    const room = await Room.found();
    await room.stub.found(room.founding);
    expect(await refusedBy(() => room.stub.found({ ...room.founding, creator: device() }))).toBe("conflict");
  });

  test("A23: only a participant may admit", async () => {
    const room = await Room.found();
    const other = device();
    expect(await refusedBy(() => room.stub.admit({ by: other.member, member: other.member }))).toBe("not_found");
  });

  test("A24: the creator and the tenant's owner and admins may dismiss, others may only leave", async () => {
    const [a, b] = [device(), device()];
    const { room } = await Room.full(a, b);
    const dismiss = { by: a.member, role: "member", member: b.member } as const;
    expect(await refusedBy(() => room.stub.dismiss(dismiss))).toBe("forbidden");
    await room.stub.dismiss({ ...dismiss, role: "admin" });
    await room.stub.dismiss({ by: a.member, role: "member", member: a.member });
    await room.stub.dismiss({ by: a.member, role: "member", member: a.member });
    expect(await (await room.connect(a)).socket.closed).toMatchObject({ reason: "not_found" });
  });

  test("R1: an object refuses to serve a tenant of another residency", async () => {
    const room = new Room();
    const misplaced = env.CONVERSATIONS.getByName(`global:${room.tenant}/${room.conversation}`);
    const founding = () => misplaced.found(room.founding);
    expect(await refusedBy(founding)).toBe("wrong_residency");
  });
});

test("F11: a device's sends are limited, and it is told when it may go on", async () => {
  const { first } = await Room.full(device());
  for (let turn = 0; turn < 600; turn++) first.post(1, `${turn}`);
  const { code, detail } = await first.refusal();
  expect(code).toBe("rate_limited");
  expect(detail).toEqual({ retryAfter: expect.any(Number) });
});

test("F11: what comes after a send refused for its haste is not taken before it, not even when there is room again", async () => {
  const other = device();
  const { room, first } = await Room.full(other);
  const posted = Array.from({ length: 700 }, (_, turn) => first.post(1, `${turn}`));
  const last = posted.at(-1) ?? new Uint8Array();
  const refused: { id: Uint8Array; wait: number }[] = [];
  while (!refused.some(({ id }) => equalBytes(id, last))) {
    const { id, detail } = await first.refusal();
    refused.push({ id: id ?? new Uint8Array(), wait: (detail as { retryAfter: number }).retryAfter });
  }
  await new Promise((passed) => setTimeout(passed, 200 + Math.max(...refused.map(({ wait }) => wait))));
  const { head } = await (await room.connect(other)).resume(0);
  const watcher = await room.enter(other, head.seq);
  const late = first.post(1, "late");
  expect(await first.refusal()).toMatchObject({ code: "rate_limited", id: late });
  // There was room: the one whose turn it is gets in at once
  const next = refused[0]?.id ?? new Uint8Array();
  first.post(1, "again", { id: Uint8Array.from(next) });
  expect(await watcher.until(head.seq + 1)).toMatchObject([{ id: next }]);
});
