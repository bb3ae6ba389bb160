// Owns the client's side of the rolling hash: following it page by page, and holding others' word against it. Knows no content.

import { equalBytes } from "../../schemas/bytes.ts";
import { chain, digestOf } from "../../schemas/chain.ts";
import type { Envelope } from "../../schemas/frames.ts";

const REMEMBERED = 1024;
const KEPT = 16;

/** Where a log stands: the rolling hash after the envelope `seq`. */
export interface Position {
  readonly seq: number;
  readonly hash: Uint8Array<ArrayBuffer>;
}

/** One envelope with the rolling hash after it. */
export interface Linked {
  readonly envelope: Envelope;
  readonly hash: Uint8Array<ArrayBuffer>;
}

/**
 * The envelopes after `from`, each with its rolling hash; those up to `from` are left out. `gap`: some are missing in between.
 * `broken`: they do not lead to `claimed`, so this is not the log that was seen before.
 */
export function follow(
  from: Position,
  { envelopes, claimed }: { envelopes: readonly Envelope[]; claimed: Uint8Array },
): readonly Linked[] | "gap" | "broken" {
  const linked: Linked[] = [];
  let { seq, hash } = from;
  for (const envelope of envelopes) {
    if (envelope.seq <= from.seq) continue;
    if (envelope.seq !== seq + 1) return "gap";
    const digest = envelope.bytes === null ? envelope.digest : digestOf(envelope.id, envelope.bytes);
    if (digest === null) return "broken";
    seq = envelope.seq;
    hash = chain(hash, seq, digest);
    linked.push({ envelope, hash });
  }
  if (linked.length > 0 || envelopes.at(-1)?.seq === from.seq) return equalBytes(hash, claimed) ? linked : "broken";
  return linked;
}

/** The positions a device has been at, so that what others say they saw can be compared. */
export class Heads {
  readonly #hashes: Map<number, Uint8Array>;

  constructor(kept: readonly (readonly [number, Uint8Array])[]) {
    this.#hashes = new Map(kept);
  }

  add({ seq, hash }: Position): void {
    this.#hashes.set(seq, hash);
    if (this.#hashes.size <= REMEMBERED) return;
    for (const oldest of this.#hashes.keys()) {
      this.#hashes.delete(oldest);
      break;
    }
  }

  /** Whether somebody saw another log than this device at the same position. */
  contradicts({ seq, hash }: Position): boolean {
    const own = this.#hashes.get(seq);
    return own !== undefined && !equalBytes(own, hash);
  }

  /** Whether somebody saw the same log as this device up to a position that this device remembers. */
  confirms({ seq, hash }: Position): boolean {
    const own = this.#hashes.get(seq);
    return own !== undefined && equalBytes(own, hash);
  }

  /** The newest few, to be stored. */
  kept(): [number, Uint8Array][] {
    return [...this.#hashes].slice(-KEPT);
  }
}
