// Owns what this device has found out about its server or about somebody who meddles with keys, until a person has taken note of it. Judges nothing.

import type { DeviceId, MemberId } from "../../schemas/ids.ts";
import { type Batch, decodeRecord } from "./records.ts";
import type { Store } from "./store.ts";
import type { FindingView } from "./view.ts";

const PREFIX = "finding/";

type FindingRecord = FindingView & { readonly noted: boolean };

/** Something that does not happen by accident. The same again is one finding. */
export interface Found {
  readonly kind: FindingView["kind"];
  readonly member?: MemberId;
  readonly device?: DeviceId;
}

/** The findings of one profile. Changes go into the caller's batch and count once {@link Findings.settle} is called after its write. */
export class Findings {
  readonly #records: Map<string, FindingRecord>;
  readonly #pending = new Map<string, FindingRecord>();

  private constructor(records: Map<string, FindingRecord>) {
    this.#records = records;
  }

  /** Opens it with all that is in the store. */
  static async load(store: Store): Promise<Findings> {
    const records = (await store.scan("meta", { prefix: PREFIX })).map(({ value }) =>
      decodeRecord<FindingRecord>(value),
    );
    return new Findings(new Map(records.map((record) => [record.id, record])));
  }

  /** What nobody has taken note of yet, oldest first. */
  get open(): FindingView[] {
    return [...this.#records.values()]
      .filter(({ noted }) => !noted)
      .map(({ noted: _, ...view }) => view)
      .sort((a, b) => a.at - b.at);
  }

  /** Adds a finding unless it is known. `now` by the server's clock. */
  add(batch: Batch, { kind, member, device }: Found, now: number): void {
    const id = [kind, member, device].filter((part) => part !== undefined).join("/");
    if (this.#records.has(id) || this.#pending.has(id)) return;
    this.#put(batch, { id, kind, member: member ?? null, at: now, noted: false });
  }

  /** A person has taken note. */
  note(batch: Batch, id: string): void {
    const record = this.#records.get(id);
    if (record !== undefined) this.#put(batch, { ...record, noted: true });
  }

  /** The batch is durable: what it changed counts from now on. */
  settle(): void {
    for (const [id, record] of this.#pending) this.#records.set(id, record);
    this.#pending.clear();
  }

  #put(batch: Batch, record: FindingRecord): void {
    batch.put("meta", PREFIX + record.id, record);
    this.#pending.set(record.id, record);
  }
}
