// Owns how a member stands to a conversation (read up to where, pinned, muted): setting it, and laying over it what another of the member's
// devices has told. Sends nothing.

import type { Mark } from "../../schemas/content.ts";
import type { MemberId } from "../../schemas/ids.ts";
import type { Ledger } from "./ledger.ts";
import { type ConversationRecord, decodeRecord, type MessageRecord, messageKey } from "./records.ts";
import type { Store } from "./store.ts";

/** Muted until somebody says otherwise. */
export const FOR_GOOD = Number.MAX_SAFE_INTEGER;

/** Nothing is set. */
export const UNMARKED: Pick<Mark, "pinned" | "muted"> = { pinned: { is: false, at: 0 }, muted: { until: 0, at: 0 } };

/** Sorts after every line of a seq. */
const AFTER_PARTS = 10;

/** How a conversation is marked here. */
export function markOf({ id, readTo, pinned, muted }: ConversationRecord): Mark {
  return { conversation: id, readTo, pinned, muted };
}

/** What stands of two marks of one conversation, whichever comes first: the furthest position, the latest pinning, the latest muting. */
export function merge(a: Mark, b: Mark): Mark {
  const isPinnedLater = b.pinned.at > a.pinned.at || (b.pinned.at === a.pinned.at && b.pinned.is);
  const isMutedLater = b.muted.at > a.muted.at || (b.muted.at === a.muted.at && b.muted.until > a.muted.until);
  return {
    conversation: a.conversation,
    readTo: Math.max(a.readTo, b.readTo),
    pinned: isPinnedLater ? b.pinned : a.pinned,
    muted: isMutedLater ? b.muted : a.muted,
  };
}

/** Whether there is something to tell that a device does not have from the beginning. */
export function isSet({ readTo, pinned, muted }: Mark): boolean {
  return readTo > 0 || pinned.at > 0 || muted.at > 0;
}

/** The person has seen everything there is. */
export async function markRead(ledger: Ledger): Promise<void> {
  if (ledger.record.unread === 0) return;
  await ledger.turn(async () => {
    const draft = ledger.draft();
    draft.mark({ unread: 0, readTo: Math.max(draft.record.readTo, draft.record.cursor) });
    await ledger.save(draft);
  });
}

/** The person pins, or mutes until a time of the server's clock (0: no longer). Never dated before what it replaces. */
export async function setMark(
  ledger: Ledger,
  { pinned, mutedUntil }: { readonly pinned?: boolean; readonly mutedUntil?: number },
): Promise<void> {
  await ledger.turn(async () => {
    const draft = ledger.draft();
    const { record } = draft;
    const after = (at: number): number => Math.max(ledger.surroundings.time.now(), at + 1);
    if (pinned !== undefined) draft.mark({ pinned: { is: pinned, at: after(record.pinned.at) } });
    if (mutedUntil !== undefined) draft.mark({ muted: { until: mutedUntil, at: after(record.muted.at) } });
    await ledger.save(draft);
  });
}

/** Lays over a conversation what another device has told; true once that is durable. What is the same here need not be told any more. */
export function adopt(ledger: Ledger, told: Mark): Promise<boolean | undefined> {
  return ledger.turn(async () => {
    const { store, context } = ledger.surroundings;
    const draft = ledger.draft();
    const before = draft.record;
    const { readTo, pinned, muted } = merge(markOf(before), told);
    const moved = readTo !== before.readTo || pinned !== before.pinned || muted !== before.muted;
    if (moved) draft.set({ readTo, pinned, muted });
    if (readTo !== before.readTo) draft.set({ unread: await countUnread(store, draft.record, context.me.member) });
    if (isSame(markOf(draft.record), told)) draft.telling = "done";
    if (moved || draft.telling === "done") await ledger.save(draft);
    return true;
  });
}

/** The others will hear of this mark: unless it has changed since, nothing is left to tell. */
export async function settleTold(ledger: Ledger, told: Mark): Promise<void> {
  await ledger.turn(async () => {
    if (!isSame(markOf(ledger.record), told)) return;
    const draft = ledger.draft();
    draft.telling = "done";
    await ledger.save(draft);
  });
}

/** How many texts of others there are after the read position. */
export async function countUnread(
  store: Pick<Store, "scan">,
  { id, readTo }: Pick<ConversationRecord, "id" | "readTo">,
  me: MemberId,
): Promise<number> {
  const rows = await store.scan("messages", { prefix: `${id}/`, after: messageKey(id, readTo, AFTER_PARTS) });
  return rows.filter(({ value }) => {
    const { body, from } = decodeRecord<MessageRecord>(value);
    return body.kind === "text" && from !== me;
  }).length;
}

function isSame(a: Mark, b: Mark): boolean {
  const isPinnedAlike = a.pinned.is === b.pinned.is && a.pinned.at === b.pinned.at;
  return a.readTo === b.readTo && isPinnedAlike && a.muted.until === b.muted.until && a.muted.at === b.muted.at;
}
