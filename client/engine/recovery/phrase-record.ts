// Owns what a device keeps of its member's recovery phrase, in the store's meta table. Derives nothing.

import type { RecoveryId } from "../../../schemas/ids.ts";
import { type Bytes, decodeRecord, encodeRecord } from "../records.ts";
import type { Store } from "../store.ts";

const KEY = "recovery-phrase";

/** `backupKey` seals the backup. `words` are kept only until a person has shown to have written them down, so that they can be shown again. */
export interface PhraseRecord {
  readonly lookup: RecoveryId;
  readonly backupKey: Bytes;
  readonly words: readonly string[] | null;
}

/** What is kept; undefined when the member has no phrase, as far as this device knows. */
export async function loadPhrase(store: Store): Promise<PhraseRecord | undefined> {
  const kept = await store.get("meta", KEY);
  return kept && decodeRecord<PhraseRecord>(kept);
}

/** Keeps it in place of any other. */
export async function savePhrase(store: Store, record: PhraseRecord): Promise<void> {
  await store.write([{ table: "meta", key: KEY, value: encodeRecord(record) }]);
}

/** Forgets the phrase. */
export async function dropPhrase(store: Store): Promise<void> {
  await store.write([{ table: "meta", key: KEY, value: null }]);
}
