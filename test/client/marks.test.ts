import fc from "fast-check";
import { expect, test } from "vitest";
import { createIdentityKeys } from "../../client/engine/group/device-keys.ts";
import { countUnread, merge } from "../../client/engine/marks.ts";
import { Batch, messageKey } from "../../client/engine/records.ts";
import { selfConversation } from "../../client/engine/siblings.ts";
import { encodeCbor } from "../../schemas/cbor.ts";
import { decodeContent, encodeContent, type Mark, MOST_COMPARISONS, MOST_MARKS } from "../../schemas/content.ts";
import { ConversationId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { memoryStore } from "../support/memory-store.ts";

const conversation = newId<ConversationId>();
const time = fc.nat(5);
const mark: fc.Arbitrary<Mark> = fc.record({
  conversation: fc.constant(conversation),
  readTo: time,
  pinned: fc.record({ is: fc.boolean(), at: time }),
  muted: fc.record({ until: time, at: time }),
});

test("G21: marks come together to the same, in whichever order and however often devices hear them", () => {
  fc.assert(
    fc.property(mark, mark, mark, (a, b, c) => {
      expect(merge(a, b)).toEqual(merge(b, a));
      expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      expect(merge(a, merge(a, b))).toEqual(merge(a, b));
    }),
  );
});

test("G21: the later change stands, and reading never goes back", () => {
  const before = { conversation, readTo: 9, pinned: { is: true, at: 3 }, muted: { until: 70, at: 5 } };
  const after = { conversation, readTo: 4, pinned: { is: false, at: 4 }, muted: { until: 0, at: 4 } };
  expect(merge(before, after)).toEqual({ ...before, pinned: after.pinned });
});

test("F5: marks and comparisons survive their binary form; too many, and times that are none, are refused", () => {
  const one: Mark = { conversation, readTo: 3, pinned: { is: true, at: 1 }, muted: { until: 0, at: 0 } };
  const shared = {
    asks: true,
    sentAt: 1,
    seen: { seq: 0, hash: new Uint8Array(32) },
    keys: { size: 0, root: new Uint8Array(32) },
  };
  const marks = Array.from({ length: MOST_MARKS }, () => ({ ...one, conversation: newId<ConversationId>() }));
  const about = () => ({ member: newId<MemberId>(), identityKey: new Uint8Array(32), verified: true, at: Date.now() });
  const comparisons = Array.from({ length: MOST_COMPARISONS }, about);
  const content = { type: "marks" as const, marks, comparisons, ...shared };
  const bytes = encodeContent(content);
  expect(bytes.length).toBeLessThan(61_370);
  expect(decodeContent(bytes)).toEqual(content);
  expect(decodeContent(encodeContent({ ...content, marks: [...marks, one] }))).toBeUndefined();
  expect(decodeContent(encodeContent({ ...content, marks: [{ ...one, readTo: -1 }] }))).toBeUndefined();
  expect(decodeContent(encodeContent({ ...content, comparisons: [...comparisons, about()] }))).toBeUndefined();
  expect(decodeContent(encodeContent({ ...content, comparisons: [{ ...about(), at: -1 }] }))).toBeUndefined();
  // As a build before there were comparisons says it
  const { comparisons: _, ...earlier } = content;
  expect(decodeContent(encodeCbor(earlier))).toEqual({ ...content, comparisons: [] });
});

test("G22: every device of a member finds the same conversation with itself, and nobody else does", async () => {
  const ids = { tenant: { id: newId<TenantId>() }, member: { id: newId<MemberId>() } };
  const account = { ...ids, identityKeys: await createIdentityKeys() } as Parameters<typeof selfConversation>[0];
  const self = selfConversation(account);
  expect(ConversationId.pipe[1].requirement.test(self)).toBe(true);
  expect(selfConversation(structuredClone(account))).toBe(self);
  const { publicKey } = account.identityKeys;
  for (const other of [
    { ...account, identityKeys: await createIdentityKeys() },
    { ...account, identityKeys: { publicKey, privateKey: publicKey } },
    { ...account, tenant: { ...account.tenant, id: newId<TenantId>() } },
    { ...account, member: { ...account.member, id: newId<MemberId>() } },
  ])
    expect(selfConversation(other)).not.toBe(self);
});

test("G20: what others wrote after the read position is unread, and nothing else", async () => {
  const [me, other] = [newId<MemberId>(), newId<MemberId>()];
  const store = memoryStore();
  const batch = new Batch();
  const put = (seq: number, from: MemberId, kind: "text" | "left", part = 0) => {
    const body = kind === "text" ? { kind, text: "x" } : { kind };
    batch.put("messages", messageKey(conversation, seq, part), {
      key: `${seq}`,
      seq,
      from,
      at: 1,
      body,
      expiresAt: null,
    });
  };
  put(1, other, "text");
  put(2, other, "text");
  put(2, other, "left", 9);
  put(3, me, "text");
  put(4, other, "left");
  put(5, other, "text");
  await store.write(batch.writes);
  const unread = (readTo: number) => countUnread(store, { id: conversation, readTo }, me);
  expect(await Promise.all([0, 1, 2, 4, 5].map(unread))).toEqual([3, 2, 1, 1, 0]);
});
