// Owns which of the engine's records go into a backup and what they are on another device. Knows nothing of how backups are kept.

import {
  Batch,
  type Bytes,
  type ConversationRecord,
  decodeRecord,
  encodeRecord,
  type MessageRecord,
} from "../records.ts";
import type { Table } from "../store.ts";
import type { Timers } from "../timers.ts";
import type { Portable } from "./portable.ts";

const TABLES = ["conversations", "messages", "people"] as const satisfies readonly Table[];

/** The engine's rows: timelines, conversations with titles and read positions, and who was seen with which identity key. */
export function engineRows(timers: Pick<Timers, "note">): Portable {
  return {
    tables: TABLES,
    pack: (table, _, value) => {
      if (table === "messages") {
        const { expiresAt } = decodeRecord<MessageRecord>(value);
        return { value, expiresAt, hot: false };
      }
      return { value: table === "conversations" ? packConversation(value) : value, expiresAt: null, hot: true };
    },
    unpack: (table, key, { value, expiresAt }) => {
      const batch = new Batch();
      batch.add({ table, key, value });
      if (table === "messages" && expiresAt !== null) timers.note(batch, { table, key, at: expiresAt });
      return batch.writes;
    },
  };
}

/**
 * A conversation as a device finds it that has none of its group's secrets: it lets itself in again. The newest line is left out, because
 * it quotes a message that may expire.
 */
function packConversation(value: Uint8Array): Bytes {
  const record = decodeRecord<ConversationRecord>(value);
  const lost = record.state === "active" || record.state === "joining";
  return encodeRecord({
    ...record,
    generation: null,
    lost,
    outdated: false,
    last: null,
    unread: 0,
    known: record.cursor,
  });
}
