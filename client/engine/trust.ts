// Owns what this device's person knows of other members' identity keys: since when, whether compared, whether changed. Decides who may be sent
// to after a change; knows neither where keys come from nor how they are compared.

import { equalBytes } from "../../schemas/bytes.ts";
import type { MemberId } from "../../schemas/ids.ts";
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
  readonly #records: Map<MemberId, TrustRecord>;
  readonly #pending = new Map<MemberId, TrustRecord>();

  private constructor(records: Map<MemberId, TrustRecord>) {
    this.#records = records;
  }

  /** Opens it with all that is in the store. */
  static async load(store: Store): Promise<Trust> {
    const rows = await store.scan("meta", { prefix: PREFIX });
    return new Trust(
      new Map(
        rows.map(({ key, value }) => [key.slice(PREFIX.length) as MemberId, decodeRecord<TrustRecord>(value)] as const),
      ),
    );
  }

  /** Takes in a key under which a member has appeared. `now` by the server's clock. */
  see(
    batch: Batch,
    { member, identityKey, now }: { member: MemberId; identityKey: Uint8Array; now: number },
  ): Sighting {
    const record = this.#newest(member);
    if (record !== undefined && equalBytes(record.identityKey, identityKey)) return "same";
    const key = identityKey.slice() as Bytes;
    if (record === undefined) {
      this.#put(batch, member, { state: "known", since: now, identityKey: key });
      return "first";
    }
    const wasVerified = record.state === "verified" || (record.state === "changed" && record.wasVerified);
    this.#put(batch, member, { state: "changed", since: now, wasVerified, identityKey: key });
    return "changed";
  }

  /** A person has compared this key. False when it is not the one this device has: then nothing was verified. */
  verify(
    batch: Batch,
    { member, identityKey, now }: { member: MemberId; identityKey: Uint8Array; now: number },
  ): boolean {
    const record = this.#newest(member);
    if (record === undefined || !equalBytes(record.identityKey, identityKey)) return false;
    const { since } = record;
    this.#put(batch, member, { state: "verified", since, verifiedAt: now, identityKey: record.identityKey });
    return true;
  }

  /** A person has looked at the change and goes on without comparing; or takes a verification back. */
  accept(batch: Batch, member: MemberId): void {
    const record = this.#newest(member);
    if (record === undefined) return;
    const { since, identityKey } = record;
    this.#put(batch, member, { state: "known", since, identityKey });
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
  }

  #newest(member: MemberId): TrustRecord | undefined {
    return this.#pending.get(member) ?? this.#records.get(member);
  }

  #put(batch: Batch, member: MemberId, record: TrustRecord): void {
    batch.put("meta", PREFIX + member, record);
    this.#pending.set(member, record);
  }
}
