// Owns what a person has decided about the keys of others, on whichever device: compared, or that taken back. Of two decisions about one member
// the later stands. Knows neither which key a member has nor what follows from it.

import type { Comparison } from "../../schemas/content.ts";
import type { MemberId } from "../../schemas/ids.ts";
import { type Batch, decodeRecord } from "./records.ts";
import type { Store } from "./store.ts";

/** Beside the people themselves, so that they go where those go: into the backup, and to a device that is linked. */
const TABLE = "people";
const PREFIX = "compared/";

/** The newest decision about each member. Changes go into the caller's batch and count once {@link settle} is called after its write. */
export class Comparisons {
  readonly #decided: Map<MemberId, Comparison>;
  readonly #pending = new Map<MemberId, Comparison>();

  private constructor(decided: readonly Comparison[]) {
    this.#decided = new Map(decided.map((each) => [each.member, each]));
  }

  /** Opens it with all that is in the store. */
  static async load(store: Store): Promise<Comparisons> {
    const rows = await store.scan(TABLE, { prefix: PREFIX });
    return new Comparisons(rows.map(({ value }) => decodeRecord<Comparison>(value)));
  }

  /** Those that count. */
  get all(): readonly Comparison[] {
    return [...this.#decided.values()];
  }

  /** The newest about a member, also one that is not durable yet. */
  find(member: MemberId): Comparison | undefined {
    return this.#pending.get(member) ?? this.#decided.get(member);
  }

  /** Takes one in; false when the one there is is later. The same again is written again: it may not have become durable. */
  take(batch: Batch, comparison: Comparison): boolean {
    const before = this.find(comparison.member);
    if (before !== undefined && isLater(before, comparison)) return false;
    batch.put(TABLE, PREFIX + comparison.member, comparison);
    this.#pending.set(comparison.member, comparison);
    return true;
  }

  /** The batch is durable. */
  settle(): void {
    for (const [member, comparison] of this.#pending) this.#decided.set(member, comparison);
    this.#pending.clear();
  }
}

/** Of two made at the same moment the one that takes back stands, and of two such the greater key: every device decides alike. */
function isLater(one: Comparison, other: Comparison): boolean {
  if (one.at !== other.at) return one.at > other.at;
  if (one.verified !== other.verified) return other.verified;
  return compare(one.identityKey, other.identityKey) > 0;
}

function compare(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at < 0 ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}

/** Whether a row of the table of people is a person. */
export function isPerson(key: string): boolean {
  return !key.startsWith(PREFIX);
}
