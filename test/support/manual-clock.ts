// A clock that stands still until a test moves it, for the engine's Clock.

import type { Clock } from "../../client/engine/clock.ts";

/** Starts at `start`; `random()` answers `chance`. */
export class ManualClock implements Clock {
  chance = 0;
  #now: number;
  #next = 0;
  readonly #timers = new Map<number, { readonly at: number; readonly run: () => void }>();

  constructor(start = 1_800_000_000_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(delay: number, run: () => void): () => void {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + delay, run });
    return () => this.#timers.delete(id);
  }

  /** In how many ms the next timer falls due; undefined when none is set. */
  get untilNext(): number | undefined {
    const due = this.#due(Number.POSITIVE_INFINITY);
    return due === undefined ? undefined : due[1].at - this.#now;
  }

  /** Moves on by `ms`, running what falls due in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let due = this.#due(until); due !== undefined; due = this.#due(until)) {
      const [id, { at, run }] = due;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      run();
    }
    this.#now = until;
  }

  #due(until: number) {
    const due = [...this.#timers].filter(([, { at }]) => at <= until);
    return due.sort(([a, one], [b, other]) => one.at - other.at || a - b)[0];
  }
}
