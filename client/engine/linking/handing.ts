// Owns what a device remembers of a handover that a person has confirmed, until its history has been uploaded and fetched: a closed tab or a dead
// process costs only time. Uploads nothing.

import type { GrantId, LinkId } from "../../../schemas/ids.ts";
import type { Bytes } from "../records.ts";
import { decodeRecord, encodeRecord } from "../records.ts";
import type { Store } from "../store.ts";

/** What was left for the other device in a meeting place, sealed for it alone; the same bytes may be left again. */
export interface Left {
  readonly link: LinkId;
  readonly bytes: Bytes;
  /** The permission in it, by which whoever got it is known. */
  readonly grant: GrantId;
}

export interface Handing {
  readonly left: Left;
  /** The key that the history is sealed with. */
  readonly history: Bytes;
  /** What the other device is called. */
  readonly name: string;
  /** When it was confirmed, by the server's clock in ms. */
  readonly since: number;
  /** `sealed`: all of it lies in the vault, or has been fetched; `dropped`: it was called off, and is to be destroyed there. */
  readonly state: "uploading" | "sealed" | "dropped";
}

const ROW = { table: "meta", key: "handing" } as const;

/** The handover that is under way; undefined when there is none. */
export async function loadHanding(store: Store): Promise<Handing | undefined> {
  const kept = await store.get(ROW.table, ROW.key);
  return kept && decodeRecord<Handing>(kept);
}

/** Remembers a handover; null forgets it. */
export async function saveHanding(store: Store, handing: Handing | null): Promise<void> {
  await store.write([{ ...ROW, value: handing && encodeRecord(handing) }]);
}
