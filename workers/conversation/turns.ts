// Owns the order among sends that a socket's device was told to repeat later: nothing it sends afterwards is taken before them. In memory
// only, and only for as long as anybody would wait.

import { equalBytes } from "../../schemas/bytes.ts";

/** How long the next one in turn is waited for, in ms, beyond the time it was told to wait. */
const PATIENCE = 10_000;
/** More than this many are not remembered; an honest client has fewer in flight. */
const MOST = 64;

/** The sends of one socket that were refused for their haste, in order. */
export class Turns {
  #ids: Uint8Array[] = [];
  #until = 0;

  /** Whether a send may be taken now as far as the others are concerned. */
  allows(id: Uint8Array, now: number): boolean {
    if (now > this.#until) this.#ids = [];
    const [next] = this.#ids;
    return next === undefined || equalBytes(next, id);
  }

  /** The send was taken: the next one's turn. */
  taken(now: number): void {
    if (this.#ids.length === 0) return;
    this.#ids.shift();
    this.#until = now + PATIENCE;
  }

  /** The send was refused and told to wait `wait` ms. */
  refused(id: Uint8Array, { now, wait }: { readonly now: number; readonly wait: number }): void {
    const isNext = this.#ids.length === 0 || this.allows(id, now);
    if (isNext) this.#until = now + wait + PATIENCE;
    if (this.#ids.length < MOST && !this.#ids.some((known) => equalBytes(known, id))) this.#ids.push(id.slice());
  }
}
