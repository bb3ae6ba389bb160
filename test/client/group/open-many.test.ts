import { expect, test } from "vitest";
import { seal } from "../../../client/engine/group/group.ts";
import { openMany } from "../../../client/engine/group/open-many.ts";
import type { Group } from "../../../client/engine/group/state.ts";
import { utf8 } from "../../../schemas/bytes.ts";
import { commitOf, crowd, gather, openNow, snapshot } from "./people.ts";

/** So many messages of one sender, and its group after them. */
async function say(group: Group, count: number): Promise<{ group: Group; sealed: Uint8Array[] }> {
  const sealed: Uint8Array[] = [];
  let after = group;
  for (let index = 0; index < count; index++) {
    const made = await seal(after, utf8(`Brezel ${index}`));
    sealed.push(made.bytes);
    after = made.group;
  }
  return { group: after, sealed };
}

async function three() {
  const { groups, rows } = await gather(await crowd(3));
  const [anna, bert, carl] = groups;
  return { anna, bert, carl, rows: rows[2] };
}

test("E18: a backlog opened side by side leads to the same messages, group and rows as one by one", async () => {
  const { anna, bert, carl, rows } = await three();
  const [a, b] = [await say(anna, 20), await say(bert, 20)];
  const mixed = a.sealed.flatMap((bytes, index) => [bytes, b.sealed[index] ?? bytes]);
  const many = await openMany(carl, mixed);
  let single = carl;
  for (const [index, bytes] of mixed.entries()) {
    const { outcome, group } = await openNow(single, bytes);
    expect(many?.messages[index]).toEqual(outcome);
    single = group;
  }
  if (many === undefined) throw new Error("nothing was opened");
  expect(snapshot(many.group)).toBe(snapshot(single));
  rows.apply(many.writes);
  expect(snapshot(rows.load(carl.context))).toBe(snapshot(single));
});

const oddities: Record<string, (given: { anna: Group; carl: Group; sealed: Uint8Array[] }) => Promise<Uint8Array[]>> = {
  "an altered one": async ({ sealed }) =>
    sealed.map((bytes, at) => (at === 2 ? bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1) : bytes)),
  "a repeated one": async ({ sealed }) => sealed.toSpliced(2, 0, sealed[1] ?? new Uint8Array()),
  "two exchanged": async ({ sealed }) => [sealed[1], sealed[0], ...sealed.slice(2)].filter((one) => one !== undefined),
  "an own one": async ({ carl, sealed }) => [...sealed, (await seal(carl, utf8("ich"))).bytes],
  "a commit": async ({ anna, sealed }) => [...sealed, (await commitOf(anna)).bundle.commit],
  "one of an epoch to come": async ({ anna, sealed }) => {
    const { group } = await commitOf(anna);
    return [
      ...sealed,
      (await seal(group.pending === null ? group : { ...group, live: group.pending.next }, utf8("bald"))).bytes,
    ];
  },
  nothing: async () => [],
};

test.each(Object.keys(oddities))("E18: a backlog with %s is left as it is, to be opened one by one", async (oddity) => {
  const { anna, carl } = await three();
  const { group, sealed } = await say(anna, 5);
  const before = snapshot(carl);
  const odd = await oddities[oddity]?.({ anna: group, carl, sealed });
  expect(await openMany(carl, odd ?? [])).toBeUndefined();
  expect(snapshot(carl)).toBe(before);
  const { outcome } = await openNow(carl, sealed[0] ?? new Uint8Array());
  expect(outcome.kind).toBe("message");
});

test("E18: messages that were destroyed unread leave no more than a gap in a backlog", async () => {
  const { anna, carl } = await three();
  const { sealed } = await say(anna, 9);
  const some = sealed.filter((_, index) => index % 3 !== 1);
  const many = await openMany(carl, some);
  let single = carl;
  for (const bytes of some) single = (await openNow(single, bytes)).group;
  expect(many === undefined ? "" : snapshot(many.group)).toBe(snapshot(single));
});

test("E2, E18: a member who seals in another's name opens nothing", async () => {
  const { anna, bert, carl } = await three();
  const { me } = bert.context;
  const forged = await say({ ...anna, context: { ...anna.context, me } }, 3);
  expect(await openMany(carl, forged.sealed)).toBeUndefined();
});
