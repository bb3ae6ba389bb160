// Owns what a person knows of other members' identity keys: since when, whether compared on this device or another of theirs, whether changed.
// Decides who may be sent to after a change; knows neither where keys come from nor how they are compared.

import { equalBytes } from "../../schemas/bytes.ts";
import type { Comparison } from "../../schemas/content.ts";
import type { MemberId } from "../../schemas/ids.ts";
import { Comparisons } from "./comparisons.ts";
import { type Batch, type Bytes, decodeRecord } from "./records.ts";
import type { Store } from "./store.ts";

const PREFIX = "trust/";

/**
 * `known`: seen since `since`; `verified`: compared by a person; `changed`: another key than before, not looked at yet. A change of a verified
 * key keeps everybody from sending to that member until a person has looked, any other is a visible line only. Times in ms.
 */
export type TrustState =
  | { readonly state: "known"; readonly since: number }
  | { readonly state: "verified"; readonly since: number; readonly verifiedAt: number }
  | { readonly state: "changed"; readonly since: number; readonly wasVerified: boolean };

type TrustRecord = TrustState & { readonly identityKey: Bytes };

/** What seeing a key meant. */
export type Sighting = "first" | "same" | "changed";

/** Everybody whose key this profile has seen. Changes go into the caller's batch and count once {@link Trust.settle} is called after its write. */
export class Trust {
  /** What was decided about keys, by this device's person here and elsewhere. */
  readonly comparisons: Comparisons;
  readonly #records: Map<MemberId, TrustRecord>;
  readonly #pending = new Map<MemberId, TrustRecord>();

  private constructor(records: Map<MemberId, TrustRecord>, comparisons: Comparisons) {
    this.#records = records;
    this.comparisons = comparisons;
  }

  /** Opens it with all that is in the store. */
  static async load(store: Store): Promise<Trust> {
    const [rows, comparisons] = await Promise.all([store.scan("meta", { prefix: PREFIX }), Comparisons.load(store)]);
    const records = rows.map(
      ({ key, value }) => [key.slice(PREFIX.length) as MemberId, decodeRecord<TrustRecord>(value)] as const,
    );
    return new Trust(new Map(records), comparisons);
  }

  /** Takes in a key under which a member has appeared. `now` by the server's clock. */
  see(
    batch: Batch,
    { member, identityKey, now }: { member: MemberId; identityKey: Uint8Array; now: number },
  ): Sighting {
    const record = this.#newest(member);
    if (record !== undefined && equalBytes(record.identityKey, identityKey)) return "same";
    const key = identityKey.slice() as Bytes;
    const said = this.comparisons.find(member);
    // Compared on another device, which has read on, or had read this far when it was handed over
    if (said !== undefined && equalBytes(said.identityKey, key)) this.#follow(batch, said, { since: now });
    else {
      const wasVerified = said?.verified === true || (record !== undefined && isOrWasVerified(record));
      const isChange = record !== undefined || wasVerified;
      const state = isChange ? ({ state: "changed", wasVerified } as const) : ({ state: "known" } as const);
      this.#put(batch, member, { ...state, since: now, identityKey: key });
    }
    return record === undefined ? "first" : "changed";
  }

  /** A person has compared this key. False when it is not the one this device has: then nothing was verified. */
  verify(
    batch: Batch,
    { member, identityKey, now }: { member: MemberId; identityKey: Uint8Array; now: number },
  ): boolean {
    const record = this.#newest(member);
    if (record === undefined || !equalBytes(record.identityKey, identityKey)) return false;
    this.#decide(batch, member, { record, verified: true, now });
    return true;
  }

  /** A person has looked at the change and goes on without comparing; or takes a verification back. */
  accept(batch: Batch, { member, now }: { member: MemberId; now: number }): void {
    const record = this.#newest(member);
    if (record !== undefined) this.#decide(batch, member, { record, verified: false, now });
  }

  /** Another device of this person tells what was decided there. It counts for the very key that was compared, once this device has it. */
  hear(batch: Batch, told: Comparison): void {
    if (!this.comparisons.take(batch, told)) return;
    const record = this.#newest(told.member);
    if (record === undefined) return;
    if (equalBytes(record.identityKey, told.identityKey)) this.#follow(batch, told, record);
    // The key before this one was compared there, and nobody has looked at the change yet
    else if (told.verified && record.state === "changed") {
      this.#put(batch, told.member, { ...record, wasVerified: true });
    }
  }

  /** How a member's key stands; undefined when none has been seen. */
  of(member: MemberId): TrustState | undefined {
    const record = this.#records.get(member);
    if (record === undefined) return undefined;
    const { identityKey: _, ...state } = record;
    return state;
  }

  /** Those among `members` who keep this device from sending: verified once, and changed since. */
  blocking(members: readonly MemberId[]): MemberId[] {
    return members.filter((member) => {
      const record = this.#records.get(member);
      return record?.state === "changed" && record.wasVerified;
    });
  }

  /** The batch is durable: what it changed counts from now on. */
  settle(): void {
    for (const [member, record] of this.#pending) this.#records.set(member, record);
    this.#pending.clear();
    this.comparisons.settle();
  }

  /** Never dated before what it replaces. */
  #decide(
    batch: Batch,
    member: MemberId,
    { record, verified, now }: { record: TrustRecord; verified: boolean; now: number },
  ): void {
    const at = Math.max(now, (this.comparisons.find(member)?.at ?? -1) + 1);
    const comparison = { member, identityKey: record.identityKey, verified, at };
    this.comparisons.take(batch, comparison);
    this.#follow(batch, comparison, record);
  }

  /** The decision is about the key there is. */
  #follow(batch: Batch, { member, identityKey, verified, at }: Comparison, { since }: { since: number }): void {
    const state = verified ? ({ state: "verified", verifiedAt: at } as const) : ({ state: "known" } as const);
    this.#put(batch, member, { ...state, since, identityKey: identityKey.slice() as Bytes });
  }

  #newest(member: MemberId): TrustRecord | undefined {
    return this.#pending.get(member) ?? this.#records.get(member);
  }

  #put(batch: Batch, member: MemberId, record: TrustRecord): void {
    batch.put("meta", PREFIX + member, record);
    this.#pending.set(member, record);
  }
}

function isOrWasVerified(record: TrustRecord): boolean {
  return record.state === "verified" || (record.state === "changed" && record.wasVerified);
}
