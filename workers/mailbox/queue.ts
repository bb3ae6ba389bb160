// Owns what waits for a member's devices in the mailbox's SQLite: nudges, one per conversation, and welcomes until they are confirmed, one
// per generation of a conversation. Knows no sockets.

import type { Nudge, WelcomeItem } from "../../schemas/frames.ts";
import type { ConversationId, DeviceId } from "../../schemas/ids.ts";

export type About = Nudge["about"];

/** A welcome as a conversation brings it. */
export interface Welcome {
  readonly conversation: ConversationId;
  /** Of the conversation's group. */
  readonly generation: number;
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A device finds the welcomes to so many generations of a conversation, the latest. */
const GENERATIONS = 8;

interface NudgeRow extends Record<string, SqlStorageValue> {
  n: number;
  kind: string;
  conversation: string;
  seq: number;
}

interface WelcomeRow extends Record<string, SqlStorageValue> {
  n: number;
  conversation: string;
  seq: number;
  hash: ArrayBuffer;
  bytes: ArrayBuffer;
}

// A confirmed welcome keeps its row without bytes: brought once more, it is known
const TABLES = `
  CREATE TABLE IF NOT EXISTS counter (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL);
  INSERT OR IGNORE INTO counter VALUES (1, 0);
  CREATE TABLE IF NOT EXISTS nudges (conversation TEXT PRIMARY KEY, n INTEGER NOT NULL UNIQUE, kind TEXT NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS welcomes (
    device TEXT NOT NULL, conversation TEXT NOT NULL, generation INTEGER NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL,
    hash BLOB NOT NULL, bytes BLOB, PRIMARY KEY (device, conversation, generation)
  );`;

/** The queue of one mailbox. Its numbers `n` only ever rise. */
export class Queue {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
  }

  /** Puts a nudge in place of the last one about the same thing. */
  nudge(about: About): Nudge {
    const n = this.#next();
    const conversation = about.kind === "directory" ? "" : about.conversation;
    const seq = about.kind === "conversation" ? about.seq : 0;
    this.#sql.exec("INSERT OR REPLACE INTO nudges VALUES (?, ?, ?, ?)", conversation, n, about.kind, seq);
    return { n, about };
  }

  nudgesAfter(n: number): Nudge[] {
    const rows = this.#sql.exec<NudgeRow>("SELECT n, kind, conversation, seq FROM nudges WHERE n > ? ORDER BY n", n);
    return [...rows].map(toNudge);
  }

  /**
   * Puts a welcome before a device; `undefined` when it, or a newer one to the same generation, was put there before, or when those to later
   * generations leave it no place.
   */
  welcome(device: DeviceId, { conversation, generation, seq, hash, bytes }: Welcome): WelcomeItem | undefined {
    const known = this.#sql
      .exec<{ generation: number; seq: number }>(
        "SELECT generation, seq FROM welcomes WHERE device = ? AND conversation = ?",
        device,
        conversation,
      )
      .toArray();
    if (known.some((other) => other.generation === generation && other.seq >= seq)) return undefined;
    const generations = new Set([generation, ...known.map((other) => other.generation)]);
    const first =
      [...generations]
        .sort((a, b) => b - a)
        .slice(0, GENERATIONS)
        .at(-1) ?? generation;
    if (generation < first) return undefined;
    const n = this.#next();
    this.#sql.exec(
      "DELETE FROM welcomes WHERE device = ? AND conversation = ? AND generation < ?",
      device,
      conversation,
      first,
    );
    this.#sql.exec(
      "INSERT OR REPLACE INTO welcomes VALUES (?, ?, ?, ?, ?, ?, ?)",
      device,
      conversation,
      generation,
      n,
      seq,
      hash,
      bytes,
    );
    return { n, conversation, seq, hash: owned(hash), bytes: owned(bytes) };
  }

  /** Those to one conversation in the order of its generations. */
  welcomesFor(device: DeviceId): WelcomeItem[] {
    const waiting = `SELECT n, conversation, seq, hash, bytes FROM welcomes WHERE device = ? AND bytes IS NOT NULL
      ORDER BY conversation, generation`;
    return [...this.#sql.exec<WelcomeRow>(waiting, device)].map(toWelcome);
  }

  /** Destroys the bytes of a welcome that its device has taken in. */
  confirm(device: DeviceId, n: number): void {
    this.#sql.exec("UPDATE welcomes SET bytes = NULL WHERE device = ? AND n = ?", device, n);
  }

  /** Forgets everything that waits for a device alone. */
  drop(device: DeviceId): void {
    this.#sql.exec("DELETE FROM welcomes WHERE device = ?", device);
  }

  #next(): number {
    return this.#sql.exec<{ n: number }>("UPDATE counter SET n = n + 1 RETURNING n").one().n;
  }
}

function toNudge({ n, kind, conversation, seq }: NudgeRow): Nudge {
  if (kind === "directory") return { n, about: { kind } };
  const id = conversation as ConversationId;
  return kind === "removed"
    ? { n, about: { kind, conversation: id } }
    : { n, about: { kind: "conversation", conversation: id, seq } };
}

function toWelcome({ n, conversation, seq, hash, bytes }: WelcomeRow): WelcomeItem {
  return {
    n,
    conversation: conversation as ConversationId,
    seq,
    hash: new Uint8Array(hash),
    bytes: new Uint8Array(bytes),
  };
}

function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
