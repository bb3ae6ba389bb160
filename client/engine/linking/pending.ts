// Owns the mark that a history was handed over to this profile and has not wholly arrived. Looked at whenever a profile is opened.

import type { Store } from "../store.ts";

/** The key of a history that has not wholly arrived yet. */
export const PENDING = { table: "meta", key: "handover-pending" } as const;

/** Whether there is a history that has not wholly arrived. The engine must not be opened on the profile before it has, or was given up. */
export async function isHistoryPending(store: Store): Promise<boolean> {
  return (await store.get(PENDING.table, PENDING.key)) !== undefined;
}

/** Goes without the history that has not arrived. */
export async function giveUpHistory(store: Store): Promise<void> {
  await store.write([{ ...PENDING, value: null }]);
}
