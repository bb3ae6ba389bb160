// Owns the pages of the log as bytes. After a break many devices ask for the same page at once: it is read and encoded once for all.

import { encodeEnvelopes } from "./envelopes-bytes.ts";
import type { Log } from "./log.ts";

/** How long a page may be shared, in ms. */
const SHARED_FOR = 100;

interface Page {
  readonly after: number;
  readonly head: number;
  /** The seq of its last envelope; `after` when it has none. */
  readonly last: number;
  readonly until: number;
  readonly frame: Uint8Array;
}

/** The pages of one log. */
export class Pages {
  readonly #log: Log;
  #latest: Page | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The page after `after` at `now` (ms). What of it has expired by then shows its digest only. */
  read({ after, delivered, now }: { readonly after: number; readonly delivered: number; readonly now: number }): Page {
    const head = this.#log.head.seq;
    const known = this.#latest;
    if (known?.after === after && known.head === head && now < known.until && now >= known.until - SHARED_FOR)
      return known;
    const { envelopes, hash } = this.#log.page(after, now);
    const frame = encodeEnvelopes({ type: "envelopes", envelopes, hash, head, delivered, now });
    const until = envelopes.reduce((least, { expiresAt }) => {
      return expiresAt === null || expiresAt <= now ? least : Math.min(least, expiresAt);
    }, now + SHARED_FOR);
    this.#latest = { after, head, last: envelopes.at(-1)?.seq ?? after, until, frame };
    return this.#latest;
  }
}
