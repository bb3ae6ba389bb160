// Owns the contract of the client's own database: eight ordered tables of opaque values with one atomic, durable write.
// Knows no database (one implementation per platform) and nothing of what the values mean.

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
 * Every method refuses with `unavailable` {where: "store"} once the store is closed or its database failed.
 */
export interface Store {
  get(table: Table, key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Entries in key order, taken at one moment. */
  scan(table: Table, range?: Range): Promise<Entry[]>;
  /**
   * Applies all or nothing, in the given order, and resolves when it would survive a crash of process and machine.
   * Writes are applied in the order of the calls. Values are copied before the call returns.
   * @throws {Refusal} quota {where: "store"} — no room; nothing was written
   * @throws {Refusal} conflict {where: "store"} — somebody else has opened this profile since; nothing was written
   */
  write(writes: readonly Write[]): Promise<void>;
  /** Waits for writes under way, then lets go of the database. */
  close(): Promise<void>;
  /** Closes and deletes the database with everything in it. */
  destroy(): Promise<void>;
}

// Nothing above "~", so that prefix + AFTER_ANY is a tight upper bound, and UTF-8 order is code unit order
const KEY = /^[\x21-\x7e]{1,512}$/;
const AFTER_ANY = "\x7f";

/** Passes a well-formed key through. @throws TypeError for any other: that is a bug of the caller. */
export function checkKey(key: string): string {
  if (!KEY.test(key)) throw new TypeError("not a store key");
  return key;
}

/** The bounds of a range: `from` and `to` (both exclusive when they say so), undefined for open, null when nothing can be in it. */
export function boundsOf(range: Range): Bounds | null {
  const { prefix = "", after = "", before } = range;
  const lower = after >= prefix ? { key: after, open: true } : { key: prefix, open: false };
  const ceiling = prefix + AFTER_ANY;
  const upper = before !== undefined && before < ceiling ? before : ceiling;
  return lower.key < upper ? { lower: lower.key, lowerOpen: lower.open, upper } : null;
}

interface Bounds {
  readonly lower: string;
  readonly lowerOpen: boolean;
  /** Always exclusive. */
  readonly upper: string;
}
