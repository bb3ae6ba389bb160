// Owns what is done once a restored profile's rows are all there: lists show the newest line again. Knows nothing of backups.

import type { ConversationId } from "../../../schemas/ids.ts";
import { Batch, type ConversationRecord, decodeRecord, type LastLine, type MessageRecord } from "../records.ts";
import type { Store } from "../store.ts";

/** How many lines are looked back for one that can stand in a list. */
const LOOK_BACK = 20;

/** Writes into each conversation which of its texts is the newest. */
export async function relist(store: Store): Promise<void> {
  const batch = new Batch();
  for (const { key, value } of await store.scan("conversations")) {
    const last = await newest(store, key as ConversationId);
    if (last !== null) batch.put("conversations", key, { ...decodeRecord<ConversationRecord>(value), last });
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
