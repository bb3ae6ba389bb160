// What happens when somebody is taken out of a conversation, asked of the real object.

import { evictDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { MailboxServerFrame } from "../../schemas/frames.ts";
import { Line } from "./support/line.ts";
import { device, Room } from "./support/room.ts";

async function three() {
  const [a, b] = [device(), device()];
  const { room, first } = await Room.full(a, b);
  const second = await room.enter(a, 1);
  const dismiss = () => room.stub.dismiss({ by: room.founder.member, role: "member", member: a.member });
  return { room, first, second, a, b, dismiss };
}

describe("removal", () => {
  test("A25: the sockets of a dismissed member close at once, and it gets in no more", async () => {
    const { room, second, a, dismiss } = await three();
    await dismiss();
    expect(await second.socket.closed).toEqual({ code: 4000, reason: "not_found" });
    expect(await (await room.connect(a)).socket.closed).toEqual({ code: 4000, reason: "not_found" });
  });

  test("A25: also when the object was evicted and its sockets hibernated", async () => {
    const { room, second, dismiss } = await three();
    await evictDurableObject(room.stub);
    await dismiss();
    expect(await second.socket.closed).toEqual({ code: 4000, reason: "not_found" });
  });

  test("A26: a revoked device is out at once and for ever; its member's other devices stay", async () => {
    const { room, second, a } = await three();
    const phone = device(a.member);
    const other = await room.enter(phone, 1);
    await evictDurableObject(room.stub);
    await room.stub.expel(a);
    expect(await second.socket.closed).toEqual({ code: 4000, reason: "device_revoked" });
    expect(await (await room.connect(a)).socket.closed).toEqual({ code: 4000, reason: "device_revoked" });
    expect((await other.next("removals")).leaves).toEqual([1]);
  });

  test("A27: nothing is accepted to read until the removal is committed, and everybody hears of it", async () => {
    const { room, first, b, dismiss } = await three();
    await dismiss();
    expect((await first.next("removals")).leaves).toEqual([1]);
    first.post(1, "still readable by the one who went");
    expect(await first.refusal()).toMatchObject({ code: "removal_pending", detail: { leaves: [1] } });
    const late = await room.enter(b, 1);
    expect((await late.next("removals")).leaves).toEqual([1]);
    await first.commit({ epoch: 1, sender: 0, removed: [1] });
    await first.send(2, "among ourselves");
  });

  test("A27: also after an eviction", async () => {
    const { room, first, dismiss } = await three();
    await dismiss();
    await evictDurableObject(room.stub);
    first.post(1, "x");
    expect(await first.refusal()).toMatchObject({ code: "removal_pending" });
  });

  test("A28: sends that came before the dismissal are in the log, later ones are not", async () => {
    const { room, second, first, dismiss } = await three();
    for (let turn = 0; turn < 5; turn++) second.post(1, `${turn}`);
    await second.until(2);
    await dismiss();
    const { head } = await first.resumeAgain();
    expect(head.seq).toBeLessThanOrEqual(6);
    expect((await (await room.enter(room.founder, 1)).pullAll(1)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: head.seq - 1 }, (_, index) => index + 2),
    );
  });

  test("A29: a dismissed device may not commit, and admitted again it comes in by itself only", async () => {
    const { room, a, dismiss } = await three();
    await dismiss();
    await room.stub.admit({ by: room.founder.member, member: a.member });
    const back = await room.enter(a, 1);
    back.socket.say(back.commitFrame({ epoch: 1, sender: 1 }));
    expect(await back.refusal()).toMatchObject({ code: "commit_forbidden" });
    await back.commit({ epoch: 1, sender: null, joiner: a, removed: [1] });
    await back.send(2, "here again");
  });

  test("A30: a member's own other device may be taken out by a commit", async () => {
    const { room, first } = await three();
    const phone = device(room.founder.member);
    const other = await room.enter(phone, 1);
    await other.commit({ epoch: 1, sender: null, joiner: phone });
    await first.commit({ epoch: 2, sender: 0, removed: [3] });
    other.post(3, "x");
    expect(await other.refusal()).toMatchObject({ code: "forbidden" });
  });

  test("A31: a dismissed member's mailbox is told", async () => {
    const { room, a, dismiss } = await three();
    const mailbox = await Line.open(room.mailbox(a.member), room.claims(a), MailboxServerFrame);
    mailbox.say({ type: "resume", after: 0 });
    await dismiss();
    const told = await mailbox.next(
      (frame): frame is Extract<MailboxServerFrame, { type: "nudges" }> =>
        frame.type === "nudges" && frame.nudges.some(({ about }) => about.kind === "removed"),
    );
    expect(told.nudges.at(-1)?.about).toEqual({ kind: "removed", conversation: room.conversation });
  });
});
