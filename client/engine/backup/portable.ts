// Owns what a row must be to go into a backup, and how rows are gathered. Which rows those are, the engine's records say.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, toHex } from "../../../schemas/bytes.ts";
import { encodeCbor } from "../../../schemas/cbor.ts";
import type { Bytes } from "../records.ts";
import type { Store, Table, Write } from "../store.ts";
import type { Wanted } from "./plan.ts";

/** What of a row is worth keeping, as another device can use it. `expiresAt` in ms by the server's clock. */
export interface Packed {
  readonly value: Bytes;
  readonly expiresAt: number | null;
  /** Changes all the time, such as a list's order: kept apart from history. */
  readonly hot: boolean;
}

/** How rows of this engine's store become portable and back. */
export interface Portable {
  readonly tables: readonly Table[];
  /** Null for what stays on this device. */
  pack(table: Table, key: string, value: Bytes): Packed | null;
  /** What a restored row becomes in the store, with whatever belongs to it; nothing when this build does not understand it. */
  unpack(table: Table, key: string, packed: Omit<Packed, "hot">): readonly Write[];
}

/** What CBOR adds to a row, at most, in bytes. */
const OVERHEAD = 48;
const PAGE = 1_000;

/** Names a row among all tables. */
export const rowKey = (table: Table, key: string): string => `${table} ${key}`;

/** Takes a {@link rowKey} apart. */
export function readRowKey(name: string): { table: Table; key: string } {
  const space = name.indexOf(" ");
  return { table: name.slice(0, space) as Table, key: name.slice(space + 1) };
}

/** The row as planning sees it. */
export function wantedOf(key: string, { value, expiresAt, hot }: Packed): Wanted {
  const digest = toHex(sha256(concat(value, encodeCbor([expiresAt]))).subarray(0, 8));
  return { digest, size: key.length + value.length + OVERHEAD, expiresAt, hot };
}

/**
 * What a store's portable rows are, worked out from what they were and the names of those that may have changed since: the same as to
 * {@link gather} them, at the cost of what has changed.
 */
export async function follow(
  { store, portable, now }: { readonly store: Store; readonly portable: Portable; readonly now: number },
  { before, names }: { readonly before: Iterable<readonly [string, Wanted]>; readonly names: ReadonlySet<string> },
): Promise<Map<string, Wanted>> {
  const rows = new Map<string, Wanted>();
  const isOver = ({ expiresAt }: { readonly expiresAt: number | null }) => expiresAt !== null && expiresAt <= now;
  for (const [name, wanted] of before) if (!isOver(wanted)) rows.set(name, wanted);
  for (const name of names) {
    const { table, key } = readRowKey(name);
    const value = await store.get(table, key);
    const packed = value === undefined ? null : portable.pack(table, key, value);
    if (packed === null || isOver(packed)) rows.delete(name);
    else rows.set(name, wantedOf(key, packed));
  }
  return rows;
}

/** Every portable row of a store that has not expired at `now`, without its value: there may be more of them than fit into memory. */
export async function gather(store: Store, portable: Portable, now: number): Promise<Map<string, Wanted>> {
  const rows = new Map<string, Wanted>();
  for (const table of portable.tables) {
    for (let after = ""; ; ) {
      const page = await store.scan(table, { ...(after !== "" && { after }), limit: PAGE });
      for (const { key, value } of page) {
        const packed = portable.pack(table, key, value);
        if (packed === null || (packed.expiresAt !== null && packed.expiresAt <= now)) continue;
        rows.set(rowKey(table, key), wantedOf(key, packed));
      }
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) break;
      after = last.key;
    }
  }
  return rows;
}
