// Owns the mark that a history was handed over to this profile and has not wholly arrived. Looked at whenever a profile is opened.

import { concat } from "../../../schemas/bytes.ts";
import type { Bytes } from "../records.ts";
import type { Store, Write } from "../store.ts";

const ROW = { table: "meta", key: "handover-pending" } as const;
const KEY = 32;

/** A history that has not wholly arrived: the key that opens it, and when it was handed over, by the server's clock in ms. */
interface Pending {
  readonly history: Bytes;
  readonly since: number;
}

/** Marks a history as one that is to arrive. */
export function pendingWrite({ history, since }: Pending): Write {
  const time = new Uint8Array(8);
  new DataView(time.buffer).setFloat64(0, since);
  return { ...ROW, value: concat(history, time) };
}

/** The history that has not wholly arrived yet; undefined when there is none. */
export async function loadPending(store: Store): Promise<Pending | undefined> {
  const kept = await store.get(ROW.table, ROW.key);
  if (kept === undefined) return undefined;
  const since = new DataView(kept.buffer, kept.byteOffset + KEY).getFloat64(0);
  return { history: kept.slice(0, KEY) as Bytes, since };
}

/** Whether there is a history that has not wholly arrived. The engine must not be opened on the profile before it has, or was given up. */
export async function isHistoryPending(store: Store): Promise<boolean> {
  return (await store.get(ROW.table, ROW.key)) !== undefined;
}

/** Goes without the history that has not arrived. */
export async function giveUpHistory(store: Store): Promise<void> {
  await store.write([{ ...ROW, value: null }]);
}
