// Owns what "delivered" says: how far every participant has got, and how often the others hear of it.

import type { Roster } from "./roster.ts";
import type { Session, Sockets } from "./sockets.ts";

const EVERY = 200;
/** Attachments can wait, in ms: what is lost with them costs a device one needless pull. */
const KEEP_WITHIN = 2_000;

/** Collects confirmations and tells of them at most once per {@link EVERY} ms, unless a frame of envelopes told it already. No timer runs while nothing was confirmed. */
export class Receipts {
  readonly #roster: Roster;
  readonly #sockets: Sockets;
  readonly #settled: () => void;
  readonly #fresh = new Set<Session>();
  #telling: ReturnType<typeof setTimeout> | undefined;
  #keeping: ReturnType<typeof setTimeout> | undefined;
  #told = 0;

  /** `settled` is called after each round of telling. */
  constructor(roster: Roster, sockets: Sockets, settled: () => void) {
    this.#roster = roster;
    this.#sockets = sockets;
    this.#settled = settled;
    for (const { device, confirmed } of sockets.all()) roster.confirm(device, confirmed);
    this.piggyBack();
  }

  /** Everything up to this seq is with every participant, as far as everybody has been told; it never falls. */
  get told(): number {
    return this.#told;
  }

  /** As {@link delivered}, for a frame that goes to every live session anyway. */
  piggyBack(): number {
    this.#told = Math.max(this.#told, this.#roster.delivered());
    return this.#told;
  }

  /** Notes that a device holds everything up to `seq`. */
  confirm(session: Session, seq: number): void {
    if (seq <= session.confirmed) return;
    session.confirmed = seq;
    session.acked = Math.max(session.acked, seq);
    this.#roster.confirm(session.device, seq);
    this.#fresh.add(session);
    this.#telling ??= setTimeout(() => this.#tell(), EVERY);
    this.#keeping ??= setTimeout(() => this.#keep(), KEEP_WITHIN);
  }

  #tell(): void {
    this.#telling = undefined;
    if (this.#roster.delivered() > this.#told) this.#sockets.broadcast({ type: "delivered", seq: this.piggyBack() });
    this.#settled();
  }

  #keep(): void {
    this.#keeping = undefined;
    for (const { device } of this.#fresh) this.#sockets.save(device);
    this.#fresh.clear();
  }
}
