// What the library was found to leave to us, and what the other hostile tests do not send: each with bytes that are flawless but for that.

import type { KeyPackage } from "ts-mls/keyPackage.js";
import { encodeMlsMessage } from "ts-mls/message.js";
import type { Proposal } from "ts-mls/proposal.js";
import { describe, expect, test } from "vitest";
import { commit } from "../../../client/engine/group/commit.ts";
import { contradicts } from "../../../client/engine/group/doubt.ts";
import { roster, seal } from "../../../client/engine/group/group.ts";
import { join, joinExternally } from "../../../client/engine/group/join.ts";
import { readKeyPackage } from "../../../client/engine/group/key-packages.ts";
import { MAX_BYTES, MAX_GENERATION } from "../../../client/engine/group/limits.ts";
import { concat, randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { groupId } from "../../../schemas/ids.ts";
import { decoded, forgeExternal, forgeGullible, forgePathless, forgeSender } from "./attacker.ts";
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

const add = (keyPackage: KeyPackage): Proposal => ({ proposalType: "add", add: { keyPackage } });
const remove = (removed: number): Proposal => ({ proposalType: "remove", remove: { removed } });

/** One bit of a signature or key changed. */
const bent = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 7 ? byte ^ 1 : byte));

/** The length of the vector `at` in one byte more than it needs. */
function longer(bytes: Uint8Array, at: number): Uint8Array {
  return concat(bytes.subarray(0, at), Uint8Array.of(0x40, bytes[at] ?? 0), bytes.subarray(at + 1));
}

describe("E50: who is removed is removed by new secrets", () => {
  test("E50: a Remove without a path, which would leave its victim able to read on, is followed by nobody", async () => {
    const people = await crowd(4);
    const { groups } = await gather(people.slice(0, 3) as [(typeof people)[0], (typeof people)[1], (typeof people)[2]]);
    const [a, b, c] = groups;
    const bytes = await forgePathless(a, [remove(1)]);
    await refuses(b, bytes, "invalid");
    await refuses(c, bytes, "invalid");
    const replaced = [remove(1), add(decoded((await keyPackageOf(people[3].me)).publicBytes))];
    await refuses(c, await forgePathless(a, replaced), "invalid");
    // The same forgery without a victim is a commit like any other
    const harmless = await forgePathless(a, [add(decoded((await keyPackageOf(people[3].me)).publicBytes))]);
    const opened = await openNow(c, harmless);
    expect(opened.outcome).toMatchObject({ kind: "epoch", epoch: 2 });
    expect(roster(opened.group)).toHaveLength(4);
  });
});

describe("E51: a member that lies in its sender data opens nothing and costs nothing", () => {
  test("E51: a leaf outside of the tree, a blank one, a generation beyond all bounds", async () => {
    const people = await crowd(3);
    const { groups } = await gather(people);
    const removed = await commitOf(groups[0], { remove: [1] });
    const [a, c] = [
      (await openNow(removed.group, removed.bundle.commit)).group,
      (await openNow(groups[2], removed.bundle.commit)).group,
    ];
    const started = performance.now();
    for (const leafIndex of [1, 3, 1_000, 2 ** 31 - 1, 2 ** 32 - 1]) {
      await refuses(c, await forgeSender(a, { leafIndex, generation: 0 }), "invalid");
    }
    for (const generation of [MAX_GENERATION, 2 ** 31, 2 ** 32 - 1]) {
      await refuses(c, await forgeSender(a, { leafIndex: 0, generation }), "too_far_ahead");
    }
    expect(performance.now() - started).toBeLessThan(2_000);
    await refuses(c, await forgeSender(a, { leafIndex: 0, generation: 0 }), "invalid");
    // Nothing of it has used up the key of an honest message
    expect((await openNow(c, (await seal(a, utf8("echt"))).bytes)).outcome.kind).toBe("message");
  });
});

describe("E52: a key package is believed for its signatures", () => {
  test("E52: one whose leaf, keys or frame were changed after signing is followed by nobody, whoever adds it", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const { publicBytes } = await keyPackageOf((await createContext()).me);
    const other = decoded((await keyPackageOf((await createContext()).me)).publicBytes);
    const honest = decoded(publicBytes);
    const { leafNode } = honest;
    const changed: [string, KeyPackage][] = [
      ["its signature", { ...honest, signature: bent(honest.signature) }],
      ["its leaf's signature", { ...honest, leafNode: { ...leafNode, signature: bent(leafNode.signature) } }],
      ["its init key", { ...honest, initKey: other.initKey }],
      ["its leaf's key", { ...honest, leafNode: { ...leafNode, hpkePublicKey: other.leafNode.hpkePublicKey } }],
      [
        "its life",
        {
          ...honest,
          leafNode: {
            ...leafNode,
            lifetime: {
              notBefore: BigInt(Math.floor(NOW / 1_000)) - 60n,
              notAfter: BigInt(Math.floor(NOW / 1_000)) + 60n,
            },
          } as typeof leafNode,
        },
      ],
    ];
    for (const [name, keyPackage] of changed) {
      const opened = await openNow(b, await forgeGullible(a, [add(keyPackage)]));
      expect(opened.outcome, name).toEqual({ kind: "unreadable", reason: "invalid" });
    }
    expect((await openNow(b, await forgeGullible(a, [add(honest)]))).outcome.kind).toBe("epoch");
  });

  test("E52: the same one cannot enter twice, in one commit or in two", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const { me } = await createContext();
    const keyPackage = decoded((await keyPackageOf(me)).publicBytes);
    const twice = [add(keyPackage), add(keyPackage)];
    await refuses(b, await forgePathless(a, twice), "invalid");
    const first = await commitOf(a, { add: [{ ...me, keyPackage: encoded(keyPackage) }] });
    const [a2, b2] = [
      (await openNow(first.group, first.bundle.commit)).group,
      (await openNow(b, first.bundle.commit)).group,
    ];
    const again = await commit(a2, { add: [{ ...me, keyPackage: encoded(keyPackage) }], now: NOW });
    expect(again).toMatchObject({ kind: "refused", reason: "already_in" });
    await refuses(b2, await forgePathless(a2, [add(keyPackage)]), "invalid");
  });
});

describe("E53: nothing of one conversation opens another", () => {
  test("E53: a Welcome or GroupInfo of another conversation or generation lets nobody in here", async () => {
    const [first, second, third] = await crowd(3);
    const there = await gather([first, second]);
    const here = conversationId();
    const keyPackage = there.keyPackages[0]?.privateRecord ?? new Uint8Array();
    const order = { welcome: there.welcome, keyPackage, context: second };
    expect(await join({ ...order, conversation: here })).toEqual({ kind: "refused", reason: "other_group" });
    const next = { ...order, conversation: there.conversation, generation: 1 };
    expect(await join(next)).toEqual({ kind: "refused", reason: "other_group" });
    const entrance = { groupInfo: there.groupInfo, context: third, now: NOW };
    for (const place of [
      { conversation: here, generation: 0 },
      { conversation: there.conversation, generation: 1 },
    ]) {
      expect(await joinExternally({ ...entrance, ...place })).toEqual({ kind: "refused", reason: "other_group" });
    }
    expect((await join({ ...order, conversation: there.conversation })).kind).toBe("joined");
  });

  test("E53: an external commit or a Remove of one conversation, replayed in another of the same people, changes nothing", async () => {
    const [first, second, third] = await crowd(3);
    const people = [first, second] as const;
    const [here, there] = [await gather(people), await gather(people)];
    const external = await forgeExternal(there.groupInfo, { context: third });
    const removal = (await commitOf(there.groups[0], { remove: [1] })).bundle.commit;
    for (const bytes of [external, removal]) {
      await refuses(here.groups[1], bytes, "other_group");
      const dressed = bytes.slice();
      dressed.set(groupId(here.conversation, 0), 5);
      await refuses(here.groups[1], dressed, "invalid");
    }
    expect((await openNow(there.groups[1], external)).outcome).toMatchObject({ kind: "epoch" });
  });

  test("E53: a credential certified for another device, member or company stands for nobody", async () => {
    const { groups, groupInfo } = await gather(await crowd(2));
    const member = await createMember();
    const me = await createMe(member);
    const sibling = await createMe(member);
    const stolen = contextOf({ ...me, certificate: sibling.certificate });
    await refuses(groups[0], await forgeExternal(groupInfo, { context: stolen }), "uncertified");
    const renamed = contextOf({ ...me, member: (await createMember()).id });
    await refuses(groups[0], await forgeExternal(groupInfo, { context: renamed }), "uncertified");
  });
});

describe("C37: another group of the same epoch is told apart", () => {
  test("C37: of two commits for one epoch each half finds the other's group contradicted, and nothing else", async () => {
    const [a, b] = (await gather(await crowd(2))).groups;
    const [one, other] = [await commitOf(a), await commitOf(b)];
    const half = (await openNow(b, one.bundle.commit)).group;
    expect(contradicts(half, one.bundle.groupInfo)).toBe(false);
    expect(contradicts(half, other.bundle.groupInfo)).toBe(true);
    expect(
      (await openNow(half, (await seal((await openNow(other.group, other.bundle.commit)).group, utf8("?"))).bytes))
        .outcome,
    ).toEqual({ kind: "unreadable", reason: "invalid" });
    // Neither another epoch nor another conversation nor garbage proves anything
    expect(contradicts(b, other.bundle.groupInfo)).toBe(false);
    expect(contradicts(half, (await gather(await crowd(2))).groupInfo)).toBe(false);
    expect(contradicts(half, other.bundle.groupInfo.subarray(0, 99))).toBe(false);
  });
});

describe("E54: keys and ways in have one spelling and one size", () => {
  test("E54: key packages and GroupInfos with long-form lengths, bytes behind them, or too many of them", async () => {
    const [first, second] = await crowd(2);
    const { groupInfo, conversation } = await gather([first, second]);
    const { publicBytes } = await keyPackageOf(first.me);
    // version, wire format, version and suite come first in a key package; then the length of its init key
    const shapes = [
      longer(publicBytes, 8),
      concat(publicBytes, Uint8Array.of(0)),
      publicBytes.subarray(0, -1),
      concat(publicBytes, randomBytes(MAX_BYTES.keyPackage)),
    ];
    for (const bytes of shapes) expect(readKeyPackage(bytes)).toBeUndefined();
    expect(readKeyPackage(publicBytes)).toBeDefined();
    const order = { context: second, conversation, generation: 0, now: NOW };
    const infos = [
      longer(groupInfo, 8),
      concat(groupInfo, Uint8Array.of(0)),
      concat(groupInfo, new Uint8Array(MAX_BYTES.groupInfo)),
    ];
    for (const bytes of infos) {
      expect(await joinExternally({ ...order, groupInfo: bytes })).toEqual({ kind: "refused", reason: "malformed" });
    }
    expect((await joinExternally({ ...order, groupInfo })).kind).toBe("committed");
  });
});

function encoded(keyPackage: KeyPackage): Uint8Array {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage });
}
