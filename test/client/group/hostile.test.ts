// Hostile envelopes and Welcomes: what is flawless but for one thing must be refused for that thing, and change nothing.

import { createProposal } from "ts-mls/createMessage.js";
import { encodeMlsMessage } from "ts-mls/message.js";
import { protectExternalProposalPublic } from "ts-mls/messageProtectionPublic.js";
import type { Proposal } from "ts-mls/proposal.js";
import type { RatchetTree } from "ts-mls/ratchetTree.js";
import { directPath, toNodeIndex } from "ts-mls/treemath.js";
import { describe, expect, test } from "vitest";
import { commit } from "../../../client/engine/group/commit.ts";
import { toMlsCredential } from "../../../client/engine/group/credential-check.ts";
import { seal } from "../../../client/engine/group/group.ts";
import { judge } from "../../../client/engine/group/guard.ts";
import { join, joinExternally } from "../../../client/engine/group/join.ts";
import { MAX_BYTES } from "../../../client/engine/group/limits.ts";
import { open, type UnreadableReason } from "../../../client/engine/group/open.ts";
import { suite } from "../../../client/engine/group/provider.ts";
import type { Claim, Group } from "../../../client/engine/group/state.ts";
import { isSoundTree } from "../../../client/engine/group/tree-check.ts";
import { concat, utf8 } from "../../../schemas/bytes.ts";
import { groupId } from "../../../schemas/ids.ts";
import {
  decoded,
  forgeCommit,
  forgeExternal,
  forgeMessage,
  forgeWelcome,
  rawCommit,
  resignedKeyPackage,
  stretched,
  unguarded,
  vector,
} from "./attacker.ts";
import {
  commitOf,
  contextOf,
  conversationId,
  createContext,
  createMe,
  createMember,
  crowd,
  gather,
  keyPackageOf,
  NOW,
  openNow,
} from "./people.ts";
import { refuses } from "./refuses.ts";

const add = (keyPackage: Uint8Array): Proposal => ({ proposalType: "add", add: { keyPackage: decoded(keyPackage) } });
const remove = (removed: number): Proposal => ({ proposalType: "remove", remove: { removed } });

describe("E8: only exact bytes for this group and epoch reach the library", () => {
  test("E8: a message of another group, or dressed up as one of this", async () => {
    const people = await crowd(2);
    const here = await gather(people);
    const there = await gather(people);
    const { bytes } = await seal(there.groups[0], utf8("elsewhere"));
    await refuses(here.groups[1], bytes, "other_group");
    const dressed = bytes.slice();
    dressed.set(groupId(here.conversation, 0), 5);
    await refuses(here.groups[1], dressed, "invalid");
    const update = (await commitOf(there.groups[0])).bundle.commit;
    await refuses(here.groups[1], update, "other_group");
    const disguised = update.slice();
    disguised.set(groupId(here.conversation, 0), 5);
    await refuses(here.groups[1], disguised, "invalid");
    expect((await openNow(there.groups[1], bytes)).outcome.kind).toBe("message");
  });

  test("E8: a message or commit of a future epoch", async () => {
    const { groups, conversation } = await gather(await crowd(2));
    const [a, b] = groups;
    const made = await commitOf(a);
    const ahead = (await openNow(a, made.bundle.commit)).group;
    const followed = (await openNow(made.group, made.bundle.commit)).group;
    await refuses(b, (await seal(followed, utf8("soon"))).bytes, "future_epoch");
    await refuses(b, (await commitOf(followed)).bundle.commit, "future_epoch");
    await refuses(b, rawCommit({ conversation, epoch: Number.MAX_SAFE_INTEGER }), "future_epoch");
    expect(ahead.live?.number).toBe(1);
  });

  test("E8: too many bytes, trailing bytes, long-form lengths, other kinds of message", async () => {
    const people = await crowd(2);
    const { groups, welcome, groupInfo } = await gather(people);
    const [a, b] = groups;
    const { bytes } = await seal(a, utf8("x"));
    const { commit } = (await commitOf(a)).bundle;
    await refuses(b, concat(bytes, new Uint8Array(MAX_BYTES.application)), "too_large");
    await refuses(b, concat(commit, new Uint8Array(MAX_BYTES.commit)), "too_large");
    for (const whole of [bytes, commit]) {
      await refuses(b, concat(whole, Uint8Array.of(0)), "malformed");
      await refuses(b, lengthened(whole), "malformed");
    }
    const keyPackage = (await keyPackageOf(people[0].me)).publicBytes;
    for (const other of [welcome, groupInfo, keyPackage, new Uint8Array(), Uint8Array.of(0, 1)]) {
      await refuses(b, other, "malformed");
    }
    // The same bytes, untouched, do get through
    expect((await openNow(b, bytes)).outcome.kind).toBe("message");
    expect((await openNow(b, commit)).outcome.kind).toBe("epoch");
  });

  test("E8: every truncation and flipped bits in every byte of a message", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const { bytes } = await seal(a, utf8("fragile"));
    for (let length = 0; length < bytes.length; length++) await refusedSomehow(b, bytes.subarray(0, length));
    for (let bit = 0; bit < bytes.length * 8; bit += bit < 512 ? 1 : 7) await refusedSomehow(b, flipped(bytes, bit));
    expect((await openNow(b, bytes)).outcome.kind).toBe("message");
  });

  test("E8: every truncation and a flipped bit in every byte of a commit", async () => {
    const [first, second, third] = await crowd(3);
    const { groups } = await gather([first, second]);
    const [a, b] = groups;
    const keyPackage = await keyPackageOf(third.me);
    const order = { member: third.me.member, device: third.me.device, keyPackage: keyPackage.publicBytes };
    const { commit } = (await commitOf(a, { add: [order], remove: [] })).bundle;
    for (let length = 0; length < commit.length; length++) await refusedSomehow(b, commit.subarray(0, length));
    for (let byte = 0; byte < commit.length; byte++) await refusedSomehow(b, flipped(commit, byte * 8 + (byte % 8)));
    expect((await openNow(b, commit)).outcome.kind).toBe("epoch");
  });
});

describe("E9: a commit adds and removes by value, and nothing else", () => {
  const forbidden: Record<string, Proposal> = {
    "group context extensions": {
      proposalType: "group_context_extensions",
      groupContextExtensions: { extensions: [{ extensionType: 0xf0, extensionData: new Uint8Array() }] },
    },
    "empty group context extensions": {
      proposalType: "group_context_extensions",
      groupContextExtensions: { extensions: [] },
    },
    "re-initialisation": {
      proposalType: "reinit",
      reinit: {
        groupId: new Uint8Array(20),
        version: "mls10",
        cipherSuite: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
        extensions: [],
      },
    },
    "a proposal of our own invention": { proposalType: 0xf00d, proposalData: utf8("anything") },
  };

  test.each(Object.entries(forbidden))("E9: %s", async (_, proposal) => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const group = {
      ...a,
      // The attacker's library must believe that everybody can do it
      live: a.live === null ? null : { ...a.live, tree: capable(a.live.tree) },
    };
    const bytes = await forgeCommit(group, { proposals: [proposal] });
    await refuses(b, bytes, "malformed");
    const verdict = await judgeBytes(b, bytes);
    expect(verdict).toEqual({ fault: "forbidden_proposal" });
  });

  test("E9: proposals by themselves, from members, from outside, in public and in private", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const cs = await suite();
    for (const isPublic of [true, false]) {
      const { message } = await createProposal(unguarded(a), isPublic, remove(1), cs);
      await refuses(b, encodeMlsMessage(message), "malformed");
    }
    const { publicMessage } = await protectExternalProposalPublic(
      a.context.me.signatureKey.privateKey,
      unguarded(a).groupContext,
      new Uint8Array(),
      remove(1),
      { senderType: "external", senderIndex: 0 },
      cs,
    );
    const bytes = encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage });
    await refuses(b, bytes, "malformed");
  });

  test("E9: proposals by reference, commits by non-members, bytes for any use beside", async () => {
    const { groups, conversation } = await gather(await crowd(2));
    const [a, b] = groups;
    const reference = concat(Uint8Array.of(2), vector(new Uint8Array(32)));
    await refuses(b, rawCommit({ conversation, epoch: 1, proposals: reference }), "malformed");
    for (const sender of [Uint8Array.of(2, 0, 0, 0, 0), Uint8Array.of(3)]) {
      await refuses(b, rawCommit({ conversation, epoch: 1, sender }), "malformed");
    }
    await refuses(b, rawCommit({ conversation, epoch: 1, sender: Uint8Array.of(1, 0, 0, 0, 9) }), "wrong_sender");
    await refuses(b, await forgeCommit(a, { authenticatedData: utf8("hello") }), "malformed");
    await refuses(b, await forgeMessage(a, utf8("hello")), "malformed");
    expect((await openNow(b, await forgeMessage(a, new Uint8Array()))).outcome.kind).toBe("message");
    expect((await openNow(b, await forgeCommit(a))).outcome.kind).toBe("epoch");
  });

  test("E9: removing the committer, nobody, somebody twice, somebody outside of the tree", async () => {
    const { groups, conversation } = await gather(await crowd(3));
    const b = groups[1];
    const by = (...leaves: number[]) => {
      const proposals = concat(...leaves.map((leaf) => Uint8Array.of(1, 0, 3, 0, 0, leaf >> 8, leaf & 255)));
      return rawCommit({ conversation, epoch: 1, proposals });
    };
    await refuses(b, by(0), "forbidden_change");
    await refuses(b, by(3), "forbidden_change");
    await refuses(b, by(1000), "forbidden_change");
    await refuses(b, by(2, 2), "malformed");
    await refuses(b, by(2), "invalid"); // a change that is allowed, but the signature is garbage
  });

  test("E9: more proposals than a tree has room for are refused without decoding them, and longer paths than it has", async () => {
    const { groups, conversation } = await gather(await crowd(2));
    const proposals = new Uint8Array(7 * 140_000);
    const view = new DataView(proposals.buffer);
    for (let at = 0; at < 140_000; at++) {
      view.setUint32(at * 7, 0x0100_0300);
      view.setUint32(at * 7 + 3, at);
    }
    const bytes = rawCommit({ conversation, epoch: 1, proposals });
    const started = performance.now();
    await refuses(groups[1], bytes, "malformed");
    expect(performance.now() - started).toBeLessThan(500);
    await refuses(groups[1], stretched((await commitOf(groups[0])).bundle.commit), "malformed");
  });
});

describe("E10: an external commit replaces the own device only", () => {
  test("E10: not another member's device, which no check of the library's stops", async () => {
    const [first, second, third] = await crowd(3);
    const { groups, groupInfo } = await gather([first, second, third]);
    const victim = second.me.signatureKey.publicKey;
    const bytes = await forgeExternal(groupInfo, {
      context: third,
      replaces: (key) => key.every((byte, at) => byte === victim[at]),
    });
    await refuses(groups[0], bytes, "forbidden_change");
  });

  test("E10: not beside its old leaf; a leaf outside of the tree does not hang us", async () => {
    const [first, second] = await crowd(2);
    const { groups, groupInfo, conversation } = await gather([first, second]);
    await refuses(groups[0], await forgeExternal(groupInfo, { context: second }), "forbidden_change");
    const kemOutput = concat(Uint8Array.of(1, 0, 6), vector(new Uint8Array(32)));
    const far = concat(Uint8Array.of(1, 0, 3, 0, 0, 0x03, 0xe8), kemOutput);
    await refuses(
      groups[0],
      rawCommit({ conversation, epoch: 1, sender: Uint8Array.of(4), proposals: far }),
      "malformed",
    );
    const farther = await forgeExternal(groupInfo, { context: second, replaces: () => true });
    await refuses(groups[1], withRemoved(farther, 1000), "forbidden_change");
  });

  test("E10: not by a device that nobody certified, of another tenant, or whose identity is not the pinned one", async () => {
    const { groups, groupInfo } = await gather(await crowd(2));
    const [a] = groups;
    const outsider = await createContext();
    const liar = { ...outsider.me, certificate: new Uint8Array(64) };
    await refuses(a, await forgeExternal(groupInfo, { context: contextOf(liar) }), "uncertified");
    const foreigner = contextOf(await createMe(await createMember((await createMember()).id as never)));
    await refuses(a, await forgeExternal(groupInfo, { context: foreigner }), "wrong_tenant");
    const wary = { ...a, context: { ...a.context, trust: () => false } };
    await refuses(wary, await forgeExternal(groupInfo, { context: outsider }), "untrusted");
    const strict = { ...a, context: { ...a.context, mayChange: () => false } };
    await refuses(strict, await forgeExternal(groupInfo, { context: outsider }), "forbidden_change");
    const honest = await forgeExternal(groupInfo, { context: outsider });
    expect((await openNow(a, honest)).outcome).toMatchObject({ kind: "epoch", change: { external: true } });
  });
});

describe("E2: a leaf is who its certified credential says, and stays it", () => {
  test("E2: a commit cannot bring in a lie", async () => {
    const { groups } = await gather(await crowd(2));
    const [a, b] = groups;
    const [mallory, alice] = [await createMember(), await createMember()];
    const me = await createMe(mallory);
    const lies: [UnreadableReason, typeof me][] = [
      ["uncertified", { ...me, identityKey: alice.identity.publicKey }], // wears another identity
      ["uncertified", { ...me, member: alice.id }], // signs with its own identity for another member
      ["uncertified", { ...me, device: (await createMe(mallory)).device }],
      ["wrong_tenant", await createMe(await createMember((await createMember()).id as never))],
    ];
    for (const [reason, lie] of lies) {
      const { publicBytes } = await keyPackageOf(lie);
      await refuses(b, await forgeCommit(a, { proposals: [add(publicBytes)] }), reason);
    }
    // certified by its own identity key for another member's name: only what is known of that member can tell
    const impostor = await createMe({ ...mallory, id: alice.id });
    const trust = ({ member, identityKey }: Claim) =>
      member !== alice.id || identityKey.every((byte, at) => byte === alice.identity.publicKey[at]);
    const wary = { ...b, context: { ...b.context, trust } };
    const bytes = await forgeCommit(a, { proposals: [add((await keyPackageOf(impostor)).publicBytes)] });
    await refuses(wary, bytes, "untrusted");
    expect((await openNow(b, bytes)).outcome.kind).toBe("epoch");
  });

  test("E2: a device has one leaf", async () => {
    const [first, second] = await crowd(2);
    const [a, b] = (await gather([first, second])).groups;
    const again = add((await keyPackageOf(second.me)).publicBytes);
    await refuses(b, await forgeCommit(a, { proposals: [again] }), "invalid");
  });

  test("E2: no key of a tree is there twice, and none is weak", async () => {
    const people = await crowd(2);
    const [a, b] = (await gather(people)).groups;
    const member = await createMember();
    const one = await createMe(member);
    const twin = await createMe(member, { signatureKey: one.signatureKey });
    const outsider = (await createContext()).me;
    const taken = b.live?.tree[2];
    if (taken?.nodeType !== "leaf") throw new Error("no leaf");
    const copied = await resignedKeyPackage(outsider, (leaf) => ({ ...leaf, hpkePublicKey: taken.leaf.hpkePublicKey }));
    const weak = await resignedKeyPackage(outsider, (leaf) => ({ ...leaf, hpkePublicKey: new Uint8Array(32) }));
    const twins = [(await keyPackageOf(one)).publicBytes, (await keyPackageOf(twin)).publicBytes];
    for (const added of [twins, [copied], [weak]]) {
      await refuses(b, await forgeCommit(a, { proposals: added.map(add) }), "malformed");
    }
    const additions = [one, twin].map((me, at) => ({ ...me, keyPackage: twins[at] ?? new Uint8Array() }));
    expect(await commit(a, { add: additions, now: NOW })).toMatchObject({ kind: "refused", reason: "malformed" });
    expect(isSoundTree(b.live?.tree ?? [])).toBe(true);
    const parent = { hpkePublicKey: new Uint8Array(32), parentHash: new Uint8Array(), unmergedLeaves: [] };
    const weakened = (b.live?.tree ?? []).map((node, at) =>
      at === 1 ? ({ nodeType: "parent", parent } as const) : node,
    );
    expect(isSoundTree(weakened)).toBe(false);
  });

  test("E2: a committer cannot turn into another device, not even of the same member, nor lose a capability", async () => {
    const member = await createMember();
    const [me, sibling] = [await createMe(member), await createMe(member)];
    const { groups } = await gather([contextOf(me), await createContext()]);
    const [a, b] = groups;
    const { signatureKey } = me;
    const twin = await createMe(member, { device: sibling.device, signatureKey });
    const edits: ((leaf: Leaf) => Leaf)[] = [
      (leaf) => ({ ...leaf, credential: toMlsCredential(twin) }),
      (leaf) => ({ ...leaf, capabilities: { ...leaf.capabilities, extensions: [] } }),
      (leaf) => ({ ...leaf, extensions: [{ extensionType: 10, extensionData: new Uint8Array() }] }),
    ];
    for (const edit of edits) {
      await refuses(
        b,
        await forgeCommit(a, { edit: (state) => ({ ...state, ratchetTree: withLeaf(state.ratchetTree, edit) }) }),
        "malformed",
      );
    }
    const same = await forgeCommit(a, {
      edit: (state) => ({ ...state, ratchetTree: withLeaf(state.ratchetTree, (leaf) => leaf) }),
    });
    expect((await openNow(b, same)).outcome.kind).toBe("epoch");
  });
});

describe("E12: a Welcome is checked whole before it is entered", () => {
  async function victim() {
    const [attacker, context] = await crowd(2);
    const own = await keyPackageOf(context.me);
    const conversation = conversationId();
    const order = { keyPackage: own.privateRecord, context, conversation };
    return { order, forgery: { attacker: attacker.me, victim: decoded(own.publicBytes), conversation } };
  }

  test("E12: a flawless forgery is an invitation", async () => {
    const { order, forgery } = await victim();
    expect(await join({ ...order, welcome: await forgeWelcome(forgery) })).toMatchObject({ kind: "joined" });
  });

  test("E12: trees that would hang or crash the library are refused at once", async () => {
    const { order, forgery } = await victim();
    const many = Array.from({ length: 3000 }, () => 1);
    const trees: [string, Partial<Parameters<typeof forgeWelcome>[0]>][] = [
      ["unmerged leaf outside of the tree", { tree: (honest) => withParent(honest, [1000]) }],
      ["the same unmerged leaf three thousand times", { tree: (honest) => withParent(honest, many) }],
      ["unmerged leaves out of order", { tree: (honest) => withParent(honest, [1, 0]) }],
      ["three million blank nodes", { treeBytes: vector(new Uint8Array(3_000_000)) }],
      ["blank nodes to one more leaf than allowed", { treeBytes: vector(new Uint8Array(2048)) }],
      ["bytes after the tree", { treeBytes: concat(vector(new Uint8Array(3)), Uint8Array.of(0)) }],
    ];
    for (const [name, change] of trees) {
      const welcome = await forgeWelcome({ ...forgery, ...change });
      const started = performance.now();
      expect(await join({ ...order, welcome }), name).toEqual({ kind: "refused", reason: "malformed" });
      expect(performance.now() - started, name).toBeLessThan(1000);
    }
  });

  test("E12: group extensions, other extensions, epochs beyond numbers", async () => {
    const { order, forgery } = await victim();
    const extension = { extensionType: 0xf0, extensionData: new Uint8Array() };
    for (const change of [{ contextExtensions: [extension] }, { extensions: [extension] }, { epoch: 2n ** 53n }]) {
      const welcome = await forgeWelcome({ ...forgery, ...change });
      expect(await join({ ...order, welcome })).toEqual({ kind: "refused", reason: "malformed" });
    }
  });

  test("E12: a third leaf that is a lie, a twin of another leaf, or weak", async () => {
    const { order, forgery } = await victim();
    const third = async (me: Awaited<ReturnType<typeof createMe>>) =>
      decoded((await keyPackageOf(me)).publicBytes).leafNode;
    const ghost = await third({ ...(await createContext()).me, certificate: new Uint8Array(64) });
    const foreigner = await third(await createMe(await createMember((await createMember()).id as never)));
    const honest = await third((await createContext()).me);
    const leaves: [string, Leaf][] = [
      ["uncertified", ghost],
      ["of another tenant", foreigner],
      ["with the victim's HPKE key", { ...honest, hpkePublicKey: forgery.victim.leafNode.hpkePublicKey }],
      ["with a weak HPKE key", { ...honest, hpkePublicKey: new Uint8Array(32) }],
      ["of the victim again", forgery.victim.leafNode],
    ];
    for (const [name, leaf] of leaves) {
      const tree = (two: RatchetTree): RatchetTree => [
        ...two,
        undefined,
        { nodeType: "leaf", leaf },
        undefined,
        undefined,
      ];
      const welcome = await forgeWelcome({ ...forgery, tree });
      expect(await join({ ...order, welcome }), name).toEqual({ kind: "refused", reason: "invalid" });
    }
    const tree = (two: RatchetTree): RatchetTree => [
      ...two,
      undefined,
      { nodeType: "leaf", leaf: honest },
      undefined,
      undefined,
    ];
    const welcome = await forgeWelcome({ ...forgery, tree });
    expect(await join({ ...order, welcome })).toMatchObject({ kind: "joined" });
    const context = { ...order.context, trust: () => false };
    expect(await join({ ...order, context, welcome })).toEqual({ kind: "refused", reason: "untrusted" });
  });

  test("E12: every kind of damage on the way", async () => {
    const { order, forgery } = await victim();
    const welcome = await forgeWelcome(forgery);
    for (const damaged of [
      concat(welcome, Uint8Array.of(0)),
      lengthened(welcome),
      welcome.subarray(0, 99),
      new Uint8Array(),
    ]) {
      expect(await join({ ...order, welcome: damaged })).toEqual({ kind: "refused", reason: "malformed" });
    }
    for (let byte = 0; byte < welcome.length; byte += 3) {
      expect((await join({ ...order, welcome: flipped(welcome, byte * 8) })).kind).toBe("refused");
    }
    const large = concat(welcome, new Uint8Array(MAX_BYTES.welcome));
    expect(await join({ ...order, welcome: large })).toEqual({ kind: "refused", reason: "malformed" });
    expect(await join({ ...order, keyPackage: utf8("not a record"), welcome })).toMatchObject({ reason: "not_for_us" });
  });

  test("E12: a damaged GroupInfo lets nobody in", async () => {
    const people = await crowd(2);
    const { groupInfo, conversation } = await gather(people);
    const order = { context: people[1], conversation, generation: 0, now: NOW };
    for (let byte = 0; byte < groupInfo.length; byte += 5) {
      expect((await joinExternally({ ...order, groupInfo: flipped(groupInfo, byte * 8) })).kind).toBe("refused");
    }
    expect((await joinExternally({ ...order, groupInfo })).kind).toBe("committed");
  });
});

describe("E14: a crash while opening is not repeated", () => {
  test("E14: a quarantined envelope is not looked at again", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const { bytes } = await seal(a, utf8("poison"));
    const opened = await open(b, bytes, { acceptedAt: NOW, quarantined: true });
    expect(opened).toEqual({ group: b, writes: [], spent: [], outcome: { kind: "unreadable", reason: "quarantined" } });
  });

  test("E14: the library is the patched one: an index outside of the tree ends in an error, not in an endless loop", () => {
    expect(() => directPath(toNodeIndex(1000), 4)).toThrow("outside of the ratchet tree");
  });
});

type Leaf = Extract<NonNullable<RatchetTree[number]>, { nodeType: "leaf" }>["leaf"];

async function judgeBytes(group: Group, bytes: Uint8Array) {
  const { decodeMlsMessage } = await import("ts-mls/message.js");
  const message = decodeMlsMessage(bytes, 0)?.[0];
  if (message?.wireformat !== "mls_public_message" || group.live === null) throw new Error("no commit");
  return judge(message.publicMessage, { live: group.live, context: group.context, at: NOW });
}

async function refusedSomehow(group: Group, bytes: Uint8Array): Promise<void> {
  const opened = await openNow(group, bytes);
  expect(["skipped", "unreadable"]).toContain(opened.outcome.kind);
  expect([opened.group, opened.writes.length]).toEqual([group, 0]);
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/** The same message with the last one-byte length, of an all but empty vector, spelled in two bytes; every other byte is kept. */
function lengthened(bytes: Uint8Array): Uint8Array {
  // version, wire format and, in all our messages, a short vector's length
  const at = 4;
  const length = bytes[at] ?? 0;
  return concat(bytes.subarray(0, at), Uint8Array.of(0x40, length), bytes.subarray(at + 1));
}

/** An external commit with another leaf to remove; its signature no longer holds, which must not matter. */
function withRemoved(bytes: Uint8Array, leaf: number): Uint8Array {
  const at = bytes.findIndex(
    (_, index) => index > 30 && bytes[index] === 1 && bytes[index + 1] === 0 && bytes[index + 2] === 3,
  );
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at + 3, leaf);
  return copy;
}

function withParent(tree: RatchetTree, unmergedLeaves: number[]): RatchetTree {
  const parent = {
    hpkePublicKey: crypto.getRandomValues(new Uint8Array(32)),
    parentHash: new Uint8Array(),
    unmergedLeaves,
  };
  return tree.map((node, index) => (index === 1 ? { nodeType: "parent", parent } : node));
}

function withLeaf(tree: RatchetTree, edit: (leaf: Leaf) => Leaf): RatchetTree {
  return tree.map((node, index) =>
    index === 0 && node?.nodeType === "leaf" ? { nodeType: "leaf", leaf: edit(node.leaf) } : node,
  );
}

function capable(tree: RatchetTree): RatchetTree {
  return tree.map((node) =>
    node?.nodeType === "leaf"
      ? {
          nodeType: "leaf",
          leaf: { ...node.leaf, capabilities: { ...node.leaf.capabilities, extensions: [0xf0], proposals: [0xf00d] } },
        }
      : node,
  );
}
