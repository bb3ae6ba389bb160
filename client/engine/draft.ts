// Owns the next state of one conversation while it is being worked out: what will be written as one, and what happens once it is durable.

import type { Group, Step } from "./group/state.ts";
import {
  Batch,
  type ConversationRecord,
  type IntentRecord,
  intentKey,
  type MessageRecord,
  messageKey,
} from "./records.ts";
import type { Heard } from "./siblings.ts";
import type { Due, Timers } from "./timers.ts";
import type { Notice } from "./view.ts";

const LAST_PART = 9;

/** Collects changes; nothing of it is true until the conversation has saved it. */
export class Draft {
  record: ConversationRecord;
  group: Group | null;
  readonly batch = new Batch();
  /** Used-up secrets, to be wiped once this is durable. */
  readonly spent: Uint8Array[] = [];
  /** Texts of others, to be announced once they are durable. */
  readonly arrived: MessageRecord[] = [];
  /** What another device of this member told. */
  readonly heard: Heard[] = [];
  /** Something of the log can never be read here. */
  missed = false;
  /** `due`: how the conversation is marked is news for the member's other devices; `done`: they know. */
  telling: "due" | "done" | null = null;
  readonly #timers: Timers;
  readonly #afterwards: (() => void)[] = [];
  #parts = { seq: -1, count: 0 };

  constructor({ record, group, timers }: { record: ConversationRecord; group: Group | null; timers: Timers }) {
    this.record = record;
    this.group = group;
    this.#timers = timers;
  }

  /** Goes on with another value of the group. */
  step(step: Step): void {
    this.group = step.group;
    this.lay(step);
    this.spent.push(...step.spent);
  }

  /** Writes a group that is not the present one yet. */
  lay({ group, writes }: Pick<Step, "group" | "writes">): void {
    for (const { key, value } of writes) {
      this.batch.add({ table: "groups", key: `${groupPrefix(group)}${key}`, value });
    }
  }

  /** Changes fields of the conversation's record. */
  set(fields: Partial<ConversationRecord>): void {
    this.record = { ...this.record, ...fields };
  }

  /** The person has read up to here, pinned or muted: the member's other devices are to know. */
  mark(fields: Partial<Pick<ConversationRecord, "readTo" | "unread" | "pinned" | "muted">>): void {
    this.set(fields);
    this.telling = "due";
  }

  /** Adds a line to the timeline; the second one of the same seq comes after the first. */
  line(message: MessageRecord): void {
    if (this.record.kind === "self") return;
    this.#parts = { seq: message.seq, count: this.#parts.seq === message.seq ? this.#parts.count + 1 : 0 };
    const key = messageKey(this.record.id, message.seq, this.#parts.count);
    this.batch.put("messages", key, message);
    if (message.expiresAt !== null) this.#note({ table: "messages", key, at: message.expiresAt });
  }

  /** Takes out the first line of a seq. */
  erase(seq: number): void {
    this.batch.delete("messages", messageKey(this.record.id, seq, 0));
  }

  /** Adds a line that no envelope stands for, after all those up to the cursor. */
  remark(body: Notice, { from, at }: Pick<MessageRecord, "from" | "at">): void {
    const { id, kind, cursor: seq } = this.record;
    if (kind === "self") return;
    const name = body.kind === "rekeyed" ? `${body.kind}.${body.member}` : body.kind;
    const message: MessageRecord = { key: `${name}.${seq}`, seq, from, at, body, expiresAt: null };
    this.batch.put("messages", `${messageKey(id, seq, LAST_PART)}/${name}`, message);
  }

  /** Writes an intent, new or changed. */
  intend(intent: IntentRecord): void {
    this.batch.put("intents", intentKey(intent), intent);
  }

  /** Deletes an intent with its timer. */
  retire(intent: IntentRecord): void {
    this.batch.delete("intents", intentKey(intent));
    const due = intentDue(intent);
    if (due !== null) this.#timers.forget(this.batch, due);
  }

  /** Sees to it that an intent that may have reached the server does not outlive its timer here. */
  limit(intent: IntentRecord): void {
    const due = intentDue(intent);
    if (due !== null) this.#note(due);
  }

  /** Runs `act` once everything here is durable. */
  afterwards(act: () => void): void {
    this.#afterwards.push(act);
  }

  /** Everything here is durable: does what was put off until now. */
  settle(): void {
    for (const act of this.#afterwards) act();
  }

  #note(due: Due): void {
    this.#timers.note(this.batch, due);
    this.afterwards(() => this.#timers.arm(due.at));
  }
}

/** Where the records of a group are kept in the table `groups`. */
export function groupPrefix({ conversation, generation }: Pick<Group, "conversation" | "generation">): string {
  return `${conversation}/${generation}/`;
}

/** When the plaintext of an intent must be gone although no echo was seen: its timer may run at the server since it was first sealed. */
function intentDue(intent: IntentRecord): Due | null {
  const { wish, sealed } = intent;
  if (wish?.kind !== "text" || wish.expiresIn === null || sealed === null) return null;
  return { table: "intents", key: intentKey(intent), at: sealed.at + wish.expiresIn };
}
