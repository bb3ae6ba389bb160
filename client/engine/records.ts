// Owns the shape and the keys of what the engine keeps in its store, except group secrets. Knows no rules and no database.

import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import type { Comparison, Mark } from "../../schemas/content.ts";
import type { ConversationId, DeviceId, MemberId, TenantId } from "../../schemas/ids.ts";
import type { Policy, Residency, Role } from "../../schemas/policy.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";
import type { KeyPair } from "./group/device-keys.ts";
import type { Table, Write } from "./store.ts";
import type { ConversationState, LogFault, Notice } from "./view.ts";

/** Bytes in memory that no other thread shares. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The one account of a profile. `draft`: keys are made, but the server has not been heard to accept them. */
export interface AccountRecord {
  readonly state: "draft" | "ready" | "ended";
  readonly code: RefusalCode | null;
  readonly tenant: { readonly id: TenantId; readonly name: string; readonly residency: Residency };
  readonly member: { readonly id: MemberId; readonly name: string; readonly role: Role };
  readonly device: DeviceId;
  readonly identityKeys: KeyPair;
  readonly signatureKeys: KeyPair;
  readonly certificate: Uint8Array;
  readonly policy: Policy;
}

/** A member as the directory names it; `identityKey` is the one the key log has, null until it was read. */
export interface PersonRecord {
  readonly id: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly identityKey: Uint8Array | null;
  readonly removed: boolean;
}

/** Newest line of a conversation for lists. Times by the server's clock. */
export interface LastLine {
  readonly key: string;
  readonly from: MemberId | null;
  readonly text: string;
  readonly at: number;
}

/** A later generation this device was welcomed to: its group is stored, and entered at `seq`, when the present one has been read to its end. */
export interface Successor {
  readonly generation: number;
  readonly seq: number;
  readonly hash: Bytes;
}

/**
 * That a generation began which this device is not in. `line`: what says so; `missedAt`: the seq of the line that stands in its place and says that
 * something may be missing, null while there is none.
 */
export interface Outside {
  readonly line: Pick<MessageRecord, "key" | "seq" | "at">;
  readonly missedAt: number | null;
}

export interface ConversationRecord {
  readonly id: ConversationId;
  readonly createdBy: MemberId | null;
  /** `self`: of the member with itself, where its devices tell each other what people are not shown. */
  readonly kind: "direct" | "group" | "self";
  readonly members: readonly MemberId[];
  readonly title: string | null;
  readonly expiresIn: number | null;
  /** Title and timer are known, so a change of them is news. */
  readonly introduced: boolean;
  /** The server knows of it; until then there is no socket to open. */
  readonly founded: boolean;
  readonly state: ConversationState;
  /** Generation of the group whose secrets are stored; null while there is none. */
  readonly generation: number | null;
  /** Last seq taken in, the rolling hash there, and some (seq, hash) pairs before it. */
  readonly cursor: number;
  readonly hash: Bytes;
  readonly heads: readonly (readonly [number, Uint8Array])[];
  /** How far this device has been before a welcome that came late led it back. */
  readonly reached?: number;
  /** Newest seq heard of: more than `cursor` means there is something to fetch. */
  readonly known: number;
  readonly delivered: number;
  /** Texts of others after `readTo`, the newest seq that the person has seen. */
  readonly readTo: number;
  readonly unread: number;
  readonly pinned: Mark["pinned"];
  readonly muted: Mark["muted"];
  readonly last: LastLine | null;
  readonly activeAt: number;
  /** The group cannot follow the log any more: let ourselves in again. */
  readonly lost: boolean;
  /** Since when a way back in has been looked for, by the local clock in ms; null or absent unless `lost`. */
  readonly soughtAt?: number | null;
  /** This store is an older copy of itself: keys it still holds have been used. Nothing is sealed before the device has let itself in anew. */
  readonly outdated: boolean;
  /** In the order of the log. */
  readonly successors?: readonly Successor[];
  /** A generation that began without this device; null or absent once it is in one again. */
  readonly outside?: Outside | null;
  /** Members whose last word about the log contradicts what this device has seen. */
  readonly doubts?: readonly MemberId[];
  /** Those of `members` whom the present generation has yet to let in. */
  readonly absent?: readonly MemberId[];
  /** Why the state is `broken`; null in any other. */
  readonly fault: LogFault | null;
}

/** One line of a timeline. `at` and `expiresAt` by the server's clock. */
export interface MessageRecord {
  readonly key: string;
  readonly seq: number;
  readonly from: MemberId | null;
  readonly at: number;
  readonly body: { readonly kind: "text"; readonly text: string } | Notice;
  readonly expiresAt: number | null;
}

/** What a conversation is called and how long its messages live. */
export interface Settings {
  readonly title: string | null;
  readonly expiresIn: number | null;
}

/**
 * What somebody wants done in a conversation. `null`: a text whose timer ran out before the server was heard to have it. Settings that
 * are not named stay as they are when the wish is sealed.
 */
export type Wish =
  | { readonly kind: "text"; readonly text: string; readonly expiresIn: number | null }
  | ({ readonly kind: "settings" } & Partial<Settings>)
  | {
      readonly kind: "marks";
      readonly marks: readonly Mark[];
      readonly comparisons: readonly Comparison[];
      readonly asks: boolean;
    }
  | { readonly kind: "create"; readonly members: readonly MemberId[] }
  | { readonly kind: "add"; readonly members: readonly MemberId[] }
  | { readonly kind: "remove"; readonly member: MemberId }
  | { readonly kind: "leave" }
  | { readonly kind: "expel"; readonly leaves: readonly number[] }
  | { readonly kind: "refresh" }
  | { readonly kind: "rejoin" }
  | { readonly kind: "reset"; readonly generation: number };

/** Settings with the wishes for others laid over them, in their order. */
export function overlaid({ title, expiresIn }: Settings, wishes: readonly (Wish | null)[]): Settings {
  let settings: Settings = { title, expiresIn };
  for (const wish of wishes) {
    if (wish?.kind !== "settings") continue;
    const { title: newTitle = settings.title, expiresIn: newTimer = settings.expiresIn } = wish;
    settings = { title: newTitle, expiresIn: newTimer };
  }
  return settings;
}

/** What has been made of an intent for one epoch; the same bytes go out until the log decides. `at` by the server's clock. */
export interface Sealed {
  readonly generation: number;
  readonly epoch: number;
  readonly at: number;
  readonly bytes: Bytes;
  readonly expiresIn: number | null;
  readonly commit: {
    readonly welcomes: readonly {
      readonly devices: readonly { readonly member: MemberId; readonly device: DeviceId }[];
      readonly bytes: Bytes;
    }[];
    readonly groupInfo: Bytes;
  } | null;
}

export interface IntentRecord {
  readonly conversation: ConversationId;
  readonly order: number;
  /** Id of the envelope it becomes. */
  readonly id: Bytes;
  readonly wish: Wish | null;
  readonly composedAt: number;
  readonly sealed: Sealed | null;
  readonly refusal: RefusalCode | null;
}

/** The bytes of a record. */
export function encodeRecord(record: object): Uint8Array<ArrayBuffer> {
  return encodeCbor(record);
}

/** A record as it was written; the store is our own, so its shape is trusted. */
export function decodeRecord<Kept>(bytes: Uint8Array): Kept {
  return decodeCbor(bytes) as Kept;
}

/** A number as a key part that sorts like the number. */
export function sortable(number: number): string {
  return String(Math.max(0, Math.floor(number))).padStart(16, "0");
}

export const messageKey = (conversation: ConversationId, seq: number, part: number): string =>
  `${conversation}/${sortable(seq)}/${part}`;
export const intentKey = ({ conversation, order }: Pick<IntentRecord, "conversation" | "order">): string =>
  `${conversation}/${sortable(order)}`;

/** A set of changes that go into the store together; the last change of a key counts. */
export class Batch {
  readonly #writes = new Map<string, Write>();

  get empty(): boolean {
    return this.#writes.size === 0;
  }

  get writes(): readonly Write[] {
    return [...this.#writes.values()];
  }

  put(table: Table, key: string, record: object): void {
    this.add({ table, key, value: encodeRecord(record) });
  }

  delete(table: Table, key: string): void {
    this.add({ table, key, value: null });
  }

  add(write: Write): void {
    this.#writes.set(`${write.table} ${write.key}`, write);
  }
}
