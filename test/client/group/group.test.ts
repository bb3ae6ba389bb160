// What honest devices rely on: commits in flight, removal, rejoining, padding, late messages, policy.

import { decodeMlsMessage } from "ts-mls/message.js";
import { describe, expect, test } from "vitest";
import { commit, confirmPending, dropPending } from "../../../client/engine/group/commit.ts";
import { createGroup, epochAuthenticator, facts, peek, roster, seal } from "../../../client/engine/group/group.ts";
import { join, joinExternally, welcomeRefs } from "../../../client/engine/group/join.ts";
import { BUCKETS, MAX_BYTES, MAX_PLAINTEXT, PAST_EPOCHS } from "../../../client/engine/group/limits.ts";
import type { Change } from "../../../client/engine/group/state.ts";
import { utf8 } from "../../../schemas/bytes.ts";
import { readCommit } from "../../../schemas/envelope.ts";
import { type ConversationId, newId } from "../../../schemas/ids.ts";
import {
  addition,
  commitOf,
  contextOf,
  createContext,
  createMe,
  createMember,
  crowd,
  gather,
  joinOf,
  keyPackageOf,
  NOW,
  openNow,
  Rows,
  snapshot,
} from "./people.ts";

describe("E1: every device that follows the same commits is in the same state", () => {
  test("E1: a member's two devices are two leaves that read each other", async () => {
    const member = await createMember();
    const contexts = [contextOf(await createMe(member)), contextOf(await createMe(member))] as const;
    const [first, second] = (await gather(contexts)).groups;
    expect(roster(first)).toEqual(roster(second));
    expect(roster(first).map(({ member: id, leaf }) => [id, leaf])).toEqual([
      [member.id, 0],
      [member.id, 1],
    ]);
    const sealed = await seal(first, utf8("to myself"));
    expect((await openNow(second, sealed.bytes)).outcome).toMatchObject({ kind: "message", sender: { leaf: 0 } });
  });

  test("E1: an envelope shows its conversation, generation, epoch and kind, and nothing is read from other bytes", async () => {
    const context = await createContext();
    const conversation = newId<ConversationId>();
    const { group } = await createGroup({ context, conversation, generation: 7, now: NOW });
    const { bytes } = await seal(group, utf8("x"));
    expect(peek(bytes)).toEqual({ kind: "application", conversation, generation: 7, epoch: 0 });
    expect(peek((await commitOf(group)).bundle.commit)).toMatchObject({ kind: "commit", generation: 7 });
    expect(peek(bytes.subarray(2))).toBeUndefined();
  });

  test("E1: a commit shows the server whom it adds and removes", async () => {
    const contexts = await crowd(4);
    const [first, second, third, newcomer] = contexts;
    const [group] = (await gather([first, second, third])).groups;
    const add = [addition(newcomer.me, await keyPackageOf(newcomer.me))];
    const { bundle, change } = await commitOf(group, { add, remove: [1] });
    expect(readCommit(bundle.commit)).toMatchObject({
      epoch: 1,
      sender: 0,
      joiner: null,
      added: [{ member: newcomer.me.member, device: newcomer.me.device }],
      removed: [1],
    });
    expect(change.removed).toMatchObject([{ device: second.me.device }]);
    expect(bundle.welcome?.devices).toEqual([{ member: newcomer.me.member, device: newcomer.me.device }]);
  });
});

describe("E3: an own commit takes effect when it comes back in order, and not before", () => {
  test("E3: until then the live epoch seals and opens as ever", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const made = await commitOf(a);
    expect(facts(made.group)?.epoch).toBe(1);
    const mine = await seal(made.group, utf8("mine"));
    expect((await openNow(b, mine.bytes)).outcome.kind).toBe("message");
    const theirs = await seal(b, utf8("theirs"));
    expect((await openNow(mine.group, theirs.bytes)).outcome.kind).toBe("message");
    expect(await commit(made.group, { now: NOW })).toMatchObject({ kind: "refused", reason: "pending" });
  });

  test("E3: the echo confirms it, also after a crash in between; messages of the old epoch stay readable", async () => {
    const contexts = await crowd(2);
    const { groups } = await gather(contexts);
    const [a, b] = groups;
    const [context] = contexts;
    const rows = new Rows();
    const created = await createGroup({ context, conversation: a.conversation, generation: 0, now: NOW });
    rows.apply(created.writes);
    const made = await commitOf(rows.load(context));
    rows.apply(made.writes);
    const echoed = await openNow(rows.load(context), made.bundle.commit);
    expect(echoed.outcome).toMatchObject({ kind: "epoch", epoch: 1, own: true, lostPending: false });
    rows.apply(echoed.writes);
    expect(rows.load(context).pending).toBeNull();
    expect(snapshot(rows.load(context))).toBe(snapshot(echoed.group));

    const late = await seal(b, utf8("late"));
    const update = await commitOf(a);
    const after = confirmPending(update.group).group;
    expect((await openNow(after, late.bytes)).outcome).toMatchObject({ kind: "message", epoch: 1 });
  });

  test("E3: a dropped commit leaves no trace", async () => {
    const [a] = (await gather(await crowd(2))).groups;
    const before = snapshot(a);
    const made = await commitOf(a);
    expect(snapshot(made.group)).not.toBe(before);
    const dropped = dropPending(made.group);
    expect(snapshot(dropped.group)).toBe(before);
    expect(dropped.writes).toEqual([{ key: "pending", value: null }]);
  });

  test("E3: who loses the race follows the winner and can commit again", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const [won, lost] = [await commitOf(a), await commitOf(b)];
    const followed = await openNow(lost.group, won.bundle.commit);
    expect(followed.outcome).toMatchObject({ kind: "epoch", own: false, lostPending: true });
    const winner = confirmPending(won.group).group;
    expect(epochAuthenticator(followed.group)).toEqual(epochAuthenticator(winner));
    expect((await openNow(winner, lost.bundle.commit)).outcome).toEqual({ kind: "skipped", reason: "past_epoch" });
    const again = await commitOf(followed.group);
    expect((await openNow(winner, again.bundle.commit)).outcome).toMatchObject({ kind: "epoch", epoch: 3 });
  });
});

describe("E6: messages of the last two epochs can still be opened, older ones not", () => {
  test("E6: one message for each epoch back", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const old: Uint8Array[] = [];
    let [sender, receiver] = [a, b];
    for (let epoch = 0; epoch <= PAST_EPOCHS; epoch++) {
      const sealed = await seal(sender, utf8(`epoch ${epoch}`));
      old.unshift(sealed.bytes);
      const made = await commitOf(sealed.group);
      sender = confirmPending(made.group).group;
      receiver = (await openNow(receiver, made.bundle.commit)).group;
    }
    const kinds = [];
    for (const bytes of old) kinds.push((await openNow(receiver, bytes)).outcome.kind);
    expect(kinds).toEqual(["message", "message", "skipped"]);
    expect((await openNow(receiver, old[2] ?? new Uint8Array())).outcome).toEqual({
      kind: "skipped",
      reason: "past_epoch",
    });
  });
});

describe("E10: a device may let itself in again, in its own place", () => {
  test("E10: with lost rows it replaces its old leaf, and everybody is told", async () => {
    const contexts = await crowd(3);
    const { groups, groupInfo, conversation } = await gather(contexts);
    const context = contexts[2];
    const made = await joinExternally({ groupInfo, context, conversation, generation: 0, now: NOW });
    if (made.kind !== "committed") throw new Error(made.reason);
    const rows = new Rows();
    rows.apply(made.writes);
    const echoed = await openNow(rows.load(context), made.bundle.commit);
    rows.apply(echoed.writes);
    expect(echoed.outcome).toMatchObject({ kind: "epoch", epoch: 2, own: true, change: { external: true } });
    const [a] = groups;
    const told = await openNow(a, made.bundle.commit);
    const { device } = context.me;
    const change = { by: { device }, added: [{ device }], removed: [{ device }], external: true };
    expect(told.outcome).toMatchObject({ kind: "epoch", change, own: false });
    expect(roster(told.group)).toHaveLength(3);
    const hello = await seal(rows.load(context), utf8("back again"));
    expect((await openNow(told.group, hello.bytes)).outcome.kind).toBe("message");
  });

  test("E10: a wedged group is replaced whole: no row of it is left", async () => {
    const contexts = await crowd(2);
    const { groups, groupInfo, conversation } = await gather(contexts);
    const [, b] = groups;
    const context = contexts[1];
    const made = await joinExternally({ groupInfo, context, conversation, generation: 0, known: b, now: NOW });
    if (made.kind !== "committed") throw new Error(made.reason);
    const confirmed = confirmPending(made.group);
    expect(confirmed.group.past).toEqual([]);
    const deleted = confirmed.writes.filter(({ value }) => value === null).map(({ key }) => key);
    expect(deleted).toEqual(expect.arrayContaining(["tree.1", "ratchets.1.0", "pending"]));
  });

  test("E10: a group older than what the device knows is refused", async () => {
    const contexts = await crowd(2);
    const { groups, groupInfo, conversation } = await gather(contexts);
    const [a] = groups;
    const [context] = contexts;
    const known = confirmPending((await commitOf(a)).group).group;
    const order = { groupInfo, context, conversation, generation: 0, now: NOW };
    expect(await joinExternally({ ...order, known })).toMatchObject({ kind: "refused", reason: "stale" });
    expect(await joinExternally({ ...order, generation: 1 })).toMatchObject({ kind: "refused", reason: "other_group" });
  });
});

describe("E11: who is removed reads nothing any more and keeps no secret", () => {
  test("E11: a single Remove renews all secrets; the removed device ends with one row", async () => {
    const contexts = await crowd(3);
    const { groups, rows: all, conversation } = await gather(contexts);
    const [a, , c] = groups;
    const context = contexts[2];
    const rows = all[2];
    expect(rows.list().length).toBeGreaterThan(1);
    const made = await commitOf(a, { remove: [2] });
    const decoded = decodeMlsMessage(made.bundle.commit, 0)?.[0];
    const content = decoded?.wireformat === "mls_public_message" ? decoded.publicMessage.content : undefined;
    expect(content?.contentType === "commit" && content.commit.path !== undefined).toBe(true);
    const removed = await openNow(c, made.bundle.commit);
    rows.apply(removed.writes);
    expect(removed.outcome).toMatchObject({
      kind: "epoch",
      selfRemoved: true,
      change: { by: { device: a.context.me.device } },
    });
    expect(rows.list().map(({ key }) => key)).toEqual(["head"]);
    expect(rows.load(context)).toMatchObject({ conversation, live: null, ended: 2, past: [] });
    const secret = await seal(confirmPending(made.group).group, utf8("without c"));
    expect((await openNow(rows.load(context), secret.bytes)).outcome).toEqual({
      kind: "skipped",
      reason: "not_in_group",
    });
    expect((await openNow(c, secret.bytes)).outcome).toEqual({ kind: "unreadable", reason: "future_epoch" });
  });

  test("E11: also when the same commit gives its leaf to somebody else", async () => {
    const [first, second, newcomer] = await crowd(3);
    const [a, b] = (await gather([first, second])).groups;
    const add = [addition(newcomer.me, await keyPackageOf(newcomer.me))];
    const { bundle } = await commitOf(a, { add, remove: [1] });
    expect((await openNow(b, bundle.commit)).outcome).toMatchObject({ kind: "epoch", selfRemoved: true });
  });

  test("E11: a removed device comes back by a new Welcome only, not by the one that first let it in", async () => {
    const contexts = await crowd(2);
    const { groups, welcome, keyPackages, conversation } = await gather(contexts);
    const [a, b] = groups;
    const context = contexts[1];
    const made = await commitOf(a, { remove: [1] });
    const known = (await openNow(b, made.bundle.commit)).group;
    const old = {
      welcome,
      keyPackage: keyPackages[0]?.privateRecord ?? new Uint8Array(),
      context,
      conversation,
      known,
    };
    expect(await join(old)).toMatchObject({ kind: "refused", reason: "stale" });
    const keyPackage = await keyPackageOf(context.me);
    const again = await commitOf(confirmPending(made.group).group, { add: [addition(context.me, keyPackage)] });
    const order = { welcome: again.bundle.welcome?.bytes ?? new Uint8Array(), keyPackage: keyPackage.privateRecord };
    const joined = await joinOf({ ...order, context, conversation, known });
    expect(epochAuthenticator(joined.group)).toEqual(epochAuthenticator(confirmPending(again.group).group));
  });
});

describe("E12: a Welcome lets in whom it is for, once, where it says", () => {
  test("E12: it names its key packages, its maker and whether the key package stays", async () => {
    const contexts = await crowd(2);
    const [a, b] = contexts;
    const { group } = await createGroup({ context: a, conversation: newId<ConversationId>(), generation: 3, now: NOW });
    const keyPackage = await keyPackageOf(b.me, true);
    const { bundle } = await commitOf(group, { add: [addition(b.me, keyPackage)] });
    const welcome = bundle.welcome?.bytes ?? new Uint8Array();
    expect(welcomeRefs(welcome)).toEqual([keyPackage.ref]);
    const order = { welcome, keyPackage: keyPackage.privateRecord, context: b, conversation: group.conversation };
    const joined = await joinOf(order);
    expect(joined).toMatchObject({ ref: keyPackage.ref, lastResort: true, by: { device: a.me.device, leaf: 0 } });
    expect(joined.group.generation).toBe(3);
    expect(await join({ ...order, generation: 2 })).toMatchObject({ kind: "refused", reason: "other_group" });
    expect(await join({ ...order, conversation: newId<ConversationId>() })).toMatchObject({ reason: "other_group" });
    expect(await join({ ...order, known: joined.group })).toMatchObject({ kind: "refused", reason: "stale" });
    const stranger = await keyPackageOf(b.me);
    expect(await join({ ...order, keyPackage: stranger.privateRecord })).toMatchObject({ reason: "not_for_us" });
  });
});

describe("E15: the size of a message tells its bucket and no more", () => {
  test("E15: every length of a bucket gives one size, within the envelope's limit", async () => {
    const context = await createContext();
    const { group } = await createGroup({ context, conversation: newId<ConversationId>(), generation: 0, now: NOW });
    const size = async (length: number) => (await seal(group, new Uint8Array(length))).bytes.length;
    expect(await size(0)).toBe(await size(BUCKETS[0] - 68));
    expect(await size(BUCKETS[0] - 67)).toBe(await size(BUCKETS[1] - 68));
    expect(await size(20_000)).toBe(await size(32_768 - 70));
    expect(await size(MAX_PLAINTEXT)).toBeLessThanOrEqual(MAX_BYTES.application);
    await expect(seal(group, new Uint8Array(MAX_PLAINTEXT + 1))).rejects.toThrow(RangeError);
  });

  test("E15: the longest message arrives whole", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const plaintext = crypto.getRandomValues(new Uint8Array(MAX_PLAINTEXT));
    const { bytes } = await seal(a, plaintext);
    expect((await openNow(b, bytes)).outcome).toMatchObject({ kind: "message", plaintext });
  });
});

describe("E2: a leaf is who its certified credential says, and stays it", () => {
  test("E2: trust is asked when a device enters, not for the commits it makes later", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const wary = { ...b, context: { ...b.context, trust: () => false } };
    expect((await openNow(wary, (await commitOf(a)).bundle.commit)).outcome.kind).toBe("epoch");
    const newcomer = await createContext();
    const add = [addition(newcomer.me, await keyPackageOf(newcomer.me))];
    const { bundle } = await commitOf(a, { add });
    expect((await openNow(wary, bundle.commit)).outcome).toEqual({ kind: "unreadable", reason: "untrusted" });
    expect(await commit(wary, { add, now: NOW })).toMatchObject({ kind: "refused", reason: "untrusted" });
  });
});

describe("E17: who may change the roster is one rule, asked on every device", () => {
  test("E17: a change that it forbids is neither made nor followed", async () => {
    const contexts = await crowd(3);
    const { groups } = await gather(contexts);
    const [a, b] = groups;
    const seen: Change[] = [];
    const strict = {
      mayChange: (change: Change) => {
        seen.push(change);
        return change.removed.length === 0;
      },
    };
    const watching = { ...b, context: { ...b.context, ...strict } };
    const made = await commitOf(a, { remove: [2] });
    const { outcome, group, writes } = await openNow(watching, made.bundle.commit);
    expect(outcome).toEqual({ kind: "unreadable", reason: "forbidden_change" });
    expect([group, writes]).toEqual([watching, []]);
    expect(seen).toMatchObject([
      { by: { device: contexts[0]?.me.device }, removed: [{ device: contexts[2]?.me.device }] },
    ]);
    expect(await commit(watching, { remove: [2], now: NOW })).toMatchObject({ reason: "forbidden_change" });
    expect((await commit(watching, { now: NOW })).kind).toBe("committed");
  });

  test("E17: what cannot be done is refused by name", async () => {
    const contexts = await crowd(2);
    const { groups } = await gather(contexts);
    const [a] = groups;
    const [first, second] = contexts;
    for (const remove of [[0], [2], [1, 1]]) {
      expect(await commit(a, { remove, now: NOW })).toMatchObject({ kind: "refused", reason: "no_such_leaf" });
    }
    const again = addition(second.me, await keyPackageOf(second.me));
    expect(await commit(a, { add: [again], now: NOW })).toMatchObject({ reason: "already_in" });
    const replaced = await commitOf(a, { add: [again], remove: [1] });
    expect(roster(confirmPending(replaced.group).group).map(({ device }) => device)).toEqual([
      first.me.device,
      second.me.device,
    ]);
  });
});
