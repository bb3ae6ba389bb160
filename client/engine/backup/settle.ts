// Owns what is done once a restored profile's rows are all there: lists show the newest line and what is unread. Knows nothing of backups.

import type { ConversationId, MemberId } from "../../../schemas/ids.ts";
import { countUnread } from "../marks.ts";
import { Batch, type ConversationRecord, decodeRecord, type LastLine, type MessageRecord } from "../records.ts";
import type { Store } from "../store.ts";

/** How many lines are looked back for one that can stand in a list. */
const LOOK_BACK = 20;

/** Writes into each conversation which of its texts is the newest, and how many of others `me` has not read. */
export async function relist(store: Store, me: MemberId): Promise<void> {
  const batch = new Batch();
  for (const { key, value } of await store.scan("conversations")) {
    const record = decodeRecord<ConversationRecord>(value);
    const last = await newest(store, key as ConversationId);
    if (last === null) continue;
    const unread = await countUnread(store, record, me);
    batch.put("conversations", key, { ...record, last, unread });
  }
  if (!batch.empty) await store.write(batch.writes);
}

async function newest(store: Store, conversation: ConversationId): Promise<LastLine | null> {
  const rows = await store.scan("messages", { prefix: `${conversation}/`, reverse: true, limit: LOOK_BACK });
  for (const { value } of rows) {
    const { key, from, at, body } = decodeRecord<MessageRecord>(value);
    if (body.kind === "text") return { key, from, text: body.text, at };
  }
  return null;
}
