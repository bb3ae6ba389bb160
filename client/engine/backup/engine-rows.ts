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

/** The tables whose rows go into a backup. */
export const PORTABLE_TABLES = ["conversations", "messages", "people"] as const satisfies readonly Table[];

/** The engine's rows: timelines, conversations with titles and read positions, and who was seen with which identity key. */
export function engineRows(timers: Pick<Timers, "note">): Portable {
  return {
    tables: PORTABLE_TABLES,
    pack: (table, _, value) => {
      if (table === "messages") {
        const { expiresAt } = decodeRecord<MessageRecord>(value);
        return { value, expiresAt, hot: false };
      }
      const packed = table === "conversations" ? packConversation(value) : value;
      return packed === null ? null : { value: packed, expiresAt: null, hot: true };
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
 * it quotes a message that may expire. What devices tell each other is nothing to keep: null.
 */
function packConversation(value: Uint8Array): Bytes | null {
  const record = decodeRecord<ConversationRecord>(value);
  if (record.kind === "self") return null;
  const lost = record.state === "active" || record.state === "joining";
  return encodeRecord({
    ...record,
    generation: null,
    successors: [],
    lost,
    soughtAt: null,
    outside: null,
    reached: 0,
    outdated: false,
    fault: null,
    last: null,
    unread: 0,
    known: record.cursor,
  });
}
