// Owns how a conversation and its lines look to whoever draws them, with what waits in the outbox laid over what the log says.

import { toBase64url } from "../../schemas/bytes.ts";
import type { Conversation } from "./conversation.ts";
import { holdOf } from "./hold.ts";
import { FOR_GOOD } from "./marks.ts";
import { intentView, messageView } from "./message-view.ts";
import { decodeRecord, type MessageRecord, overlaid, type Settings } from "./records.ts";
import type { ConversationView, HoldView, MessageView } from "./view.ts";

const PAGE = 100;

/** Title and timer as their people see them: what this device has set counts at once. */
export function settingsOf({ ledger: { record, outbox } }: Conversation): Settings {
  return overlaid(
    record,
    outbox.open.map(({ wish }) => wish),
  );
}

/** A conversation as a line of the list, with what is being written into it. */
export function conversationView(conversation: Conversation, draft: string): ConversationView {
  const { record, outbox, sight } = conversation.ledger;
  const { id, members, createdBy, state, fault, unread, pinned, muted } = record;
  const waiting = outbox.all.findLast(({ wish }) => wish?.kind === "text");
  const line = waiting === undefined ? undefined : intentView(waiting, sight);
  const last =
    line?.body.kind === "text"
      ? { from: line.from, text: line.body.text, at: line.at }
      : record.last === null
        ? null
        : { from: record.last.from, text: record.last.text, at: sight.time.toLocal(record.last.at) };
  const activeAt = Math.max(sight.time.toLocal(record.activeAt), line?.at ?? 0);
  const kind = record.kind === "direct" ? "direct" : "group";
  const isMuted = muted.until > sight.time.now();
  const mutedUntil = muted.until === FOR_GOOD ? null : sight.time.toLocal(muted.until);
  return {
    id,
    kind,
    members,
    createdBy,
    state,
    fault: fault ?? null,
    unread,
    pinned: pinned.is,
    muted: isMuted ? { until: mutedUntil } : null,
    draft,
    last,
    activeAt,
    held: holdView(conversation),
    ...settingsOf(conversation),
  };
}

function holdView(conversation: Conversation): HoldView | null {
  if (conversation.isOutside) return { reason: "outside", members: [] };
  return conversation.ledger.record.state === "active" ? holdOf(conversation.ledger) : null;
}

/** Lines oldest first, at most `limit`, ending before the line `before` or at the newest. */
export async function timelineOf(
  { ledger }: Conversation,
  { before, limit = PAGE }: { before?: string; limit?: number },
): Promise<MessageView[]> {
  const { id, surroundings, outbox, sight } = ledger;
  const waiting = outbox.all.flatMap((intent) => intentView(intent, sight) ?? []);
  const index = before === undefined ? waiting.length : waiting.findIndex(({ key }) => key === before);
  const tail = index === -1 ? [] : waiting.slice(0, index);
  const upTo = index === -1 && before !== undefined ? await storeKey(ledger, before) : undefined;
  const rows = await surroundings.store.scan("messages", {
    prefix: `${id}/`,
    reverse: true,
    limit: Math.max(0, limit - tail.length),
    ...(upTo !== undefined && { before: upTo }),
  });
  const now = surroundings.time.now();
  const stored: MessageView[] = [];
  for (const { key, value } of rows.reverse()) {
    const message = decodeRecord<MessageRecord>(value);
    if (message.expiresAt !== null && message.expiresAt <= now) continue;
    ledger.places.set(message.key, key);
    stored.push(messageView(message, sight));
  }
  const queued = tail.slice(Math.max(0, tail.length - limit));
  // A text may have come back between the two looks
  const shown = new Set(stored.map(({ key }) => key));
  return [...stored, ...queued.filter(({ key }) => !shown.has(key))];
}

/** Where a line that has been shown stands in the store. A line nobody has seen here is looked up from the newest on. */
async function storeKey(
  { id, places, surroundings }: Conversation["ledger"],
  key: string,
): Promise<string | undefined> {
  const place = places.get(key);
  if (place !== undefined) return place;
  const rows = await surroundings.store.scan("messages", { prefix: `${id}/` });
  return rows.find(({ value }) => decodeRecord<MessageRecord>(value).key === key)?.key;
}

/** The key a view uses for an intent. */
export function keyOf({ id }: { id: Uint8Array }): string {
  return toBase64url(id);
}
