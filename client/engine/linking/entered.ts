// Owns what a new device remembers of a code it has entered, until it is in, refused or the code's time is over: a reload costs nothing. Sends nothing.

import type { LinkId } from "../../../schemas/ids.ts";
import { decodeRecord, encodeRecord } from "../records.ts";
import type { Store } from "../store.ts";
import type { Greeting } from "./exchange.ts";

/** A code that was entered here. The code itself is not needed any more, and not kept. */
export interface Entered {
  readonly link: LinkId;
  /** What this device is called. */
  readonly name: string;
  readonly greeting: Greeting;
  /** When the code's time is over, by the local clock in ms. */
  readonly until: number;
}

const ROW = { table: "meta", key: "entered" } as const;

/** The code that an earlier run has entered; undefined when there is none. */
export async function loadEntered(store: Store): Promise<Entered | undefined> {
  const kept = await store.get(ROW.table, ROW.key);
  return kept && decodeRecord<Entered>(kept);
}

/** Remembers a code that is being entered; null forgets it. */
export async function saveEntered(store: Store, entered: Entered | null): Promise<void> {
  await store.write([{ ...ROW, value: entered && encodeRecord(entered) }]);
}
