// A group begun anew in the next generation: alone at first, with nothing of the old one in it.

import { describe, expect, test } from "vitest";
import { beginAnew } from "../../../client/engine/group/begin.ts";
import type { Committed } from "../../../client/engine/group/commit.ts";
import { confirmPending, dropPending } from "../../../client/engine/group/commit.ts";
import { roster, seal } from "../../../client/engine/group/group.ts";
import { join, joinExternally } from "../../../client/engine/group/join.ts";
import { utf8 } from "../../../schemas/bytes.ts";
import { readCommit, readHeader } from "../../../schemas/envelope.ts";
import { groupId } from "../../../schemas/ids.ts";
import { addition, crowd, gather, joinOf, keyPackageOf, NOW, openNow, Rows } from "./people.ts";

type Order = Parameters<typeof beginAnew>[0];

async function begun(order: Omit<Order, "now">): Promise<Committed> {
  const made = await beginAnew({ ...order, now: NOW });
  if (made.kind !== "committed") throw new Error(made.reason);
  return made;
}

describe("E45: a new generation has nothing of the old one", () => {
  test("E45: its first commit shows the server a new group, its maker on leaf 0, and whom it brings", async () => {
    const contexts = await crowd(3);
    const [a, b, c] = contexts;
    const { conversation } = await gather(contexts);
    const packages = await Promise.all([keyPackageOf(b.me), keyPackageOf(c.me)]);
    const add = [addition(b.me, packages[0]), addition(c.me, packages[1])];
    const { bundle, epoch } = await begun({ context: a, conversation, generation: 1, add });
    expect(epoch).toBe(0);
    expect(readHeader(bundle.commit)).toEqual({ kind: "commit", groupId: groupId(conversation, 1), epoch: 0 });
    const facts = readCommit(bundle.commit);
    expect(facts).toMatchObject({ sender: 0, joiner: null, removed: [] });
    expect(facts?.added.map(({ device }) => device)).toEqual([b.me.device, c.me.device]);
    expect(bundle.welcome?.devices).toHaveLength(2);
  });

  test("E45: until it comes back nothing of it lives; dropped, it leaves no secret; confirmed, it opens to whom it welcomes", async () => {
    const contexts = await crowd(2);
    const [a, b] = contexts;
    const { conversation, groups } = await gather(contexts);
    const keyPackage = await keyPackageOf(b.me);
    const made = await begun({ context: a, conversation, generation: 1, add: [addition(b.me, keyPackage)] });
    expect(made.group.live).toBeNull();
    const rows = new Rows();
    rows.apply(made.writes);
    expect(rows.list().map(({ key }) => key)).toEqual(["head", "pending"]);
    const dropped = new Rows();
    dropped.apply(made.writes);
    dropped.apply(dropPending(made.group).writes);
    expect(dropped.list().map(({ key }) => key)).toEqual(["head"]);
    const echoed = await openNow(rows.load(a), made.bundle.commit);
    expect(echoed.outcome).toMatchObject({ kind: "epoch", epoch: 1, own: true });
    const welcome = made.bundle.welcome?.bytes ?? new Uint8Array();
    const joined = await joinOf({
      welcome,
      keyPackage: keyPackage.privateRecord,
      context: b,
      conversation,
      known: groups[1],
    });
    expect(joined.group).toMatchObject({ generation: 1, past: [] });
    const hello = await seal(echoed.group, utf8("anew"));
    expect((await openNow(joined.group, hello.bytes)).outcome.kind).toBe("message");
    expect((await openNow(groups[1], hello.bytes)).outcome).toMatchObject({ reason: "other_group" });
  });

  test("E45: with nobody in it but its maker the others let themselves in", async () => {
    const contexts = await crowd(2);
    const [a, b] = contexts;
    const { conversation } = await gather(contexts);
    const made = await begun({ context: a, conversation, generation: 1, add: [] });
    expect(made.bundle.welcome).toBeNull();
    const { group } = confirmPending(made.group);
    const { groupInfo } = made.bundle;
    const entering = await joinExternally({ groupInfo, context: b, conversation, generation: 1, now: NOW });
    if (entering.kind !== "committed") throw new Error(entering.reason);
    const told = await openNow(group, entering.bundle.commit);
    expect(roster(told.group).map(({ device }) => device)).toEqual([a.me.device, b.me.device]);
  });

  test("E45: a welcome to an older generation than a device knows is a replay", async () => {
    const contexts = await crowd(2);
    const [, b] = contexts;
    const { conversation, welcome, keyPackages } = await gather(contexts);
    const { group: known } = confirmPending((await begun({ context: b, conversation, generation: 1, add: [] })).group);
    const keyPackage = keyPackages[0]?.privateRecord ?? new Uint8Array();
    expect(await join({ welcome, keyPackage, context: b, conversation, known })).toMatchObject({ reason: "stale" });
  });
});
