// Owns the contract of the client's own database: eight ordered tables of opaque values with one atomic, durable write.
// Knows no database (one implementation per platform) and nothing of what the values mean.

import { isRefusal, Refusal } from "../../schemas/refusal.ts";

/** Every table of a store. */
export const TABLES = [
  "meta",
  "groups",
  "messages",
  "intents",
  "conversations",
  "keypackages",
  "people",
  "quarantine",
] as const;
export type Table = (typeof TABLES)[number];

/** One change: `null` deletes, also what is not there. */
export interface Write {
  readonly table: Table;
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** Which part of a table: keys with `prefix`, greater than `after`, smaller than `before`, at most `limit` of them. All are optional and combine. */
export interface Range {
  readonly prefix?: string;
  readonly after?: string;
  readonly before?: string;
  readonly limit?: number;
  /** Greatest key first; `limit` then counts from the end. */
  readonly reverse?: boolean;
}

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array<ArrayBuffer>;
}

/**
 * A profile's database. Keys are 1 to 512 printable ASCII characters ({@link checkKey}), ordered by code unit; write numbers zero-padded.
 * Every method refuses with `unavailable` once the store is closed or its database failed.
 */
export interface Store {
  get(table: Table, key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Entries in key order, taken at one moment. */
  scan(table: Table, range?: Range): Promise<Entry[]>;
  /**
   * Applies all or nothing, in the given order, and resolves when it would survive a crash of process and machine.
   * Calls are applied in the order they were made. Values are copied before the call returns.
   * @throws {Refusal} quota — no room; nothing was written
   * @throws {Refusal} conflict — somebody else has opened this profile since; nothing was written
   */
  write(writes: readonly Write[]): Promise<void>;
  /** Waits for writes under way, then lets go of the database. */
  close(): Promise<void>;
  /** Closes and deletes the database with everything in it. */
  destroy(): Promise<void>;
}

// Nothing above "~" and nothing below "!": so a prefix has a tight upper bound, a key a tight successor, and UTF-8 order is code unit order
const KEY = /^[\x21-\x7e]{1,512}$/;
const AFTER_ANY = "\x7f";
const BEFORE_ANY = "\x20";

/** Passes a well-formed key through; throws a TypeError for any other, because that is a bug of the caller. */
export function checkKey(key: string): string {
  if (!KEY.test(key)) throw new TypeError("not a store key");
  return key;
}

/** What keys a range spans: from `from` on, up to but without `to`; null when nothing can be in it. */
export function boundsOf({ prefix = "", after, before, limit }: Range): { from: string; to: string } | null {
  const from = after !== undefined && after >= prefix ? after + BEFORE_ANY : prefix;
  const ceiling = prefix + AFTER_ANY;
  const to = before !== undefined && before < ceiling ? before : ceiling;
  return from < to && limit !== 0 ? { from, to } : null;
}

/** Whether a store said no for now only: it has no room, or its database does not answer. Closed, damaged or somebody else's it stays. */
export function isStoreFailure(error: unknown): boolean {
  if (!isRefusal(error) || error.detail.where !== "store") return false;
  const { code, detail } = error;
  return code === "quota" || (code === "unavailable" && detail.reason !== "closed" && detail.reason !== "damaged");
}

/** How a store says no: every refusal of a store carries `where: "store"`, and a `reason` where there is more to say. */
export function storeRefusal(
  code: "quota" | "conflict" | "unavailable" | "version_unsupported",
  reason: string,
): Refusal {
  return new Refusal(code, { where: "store", reason });
}
