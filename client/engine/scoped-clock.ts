// Owns the timers of one engine, so that none is left when it is closed.

import type { Clock } from "./clock.ts";

/** A clock whose timers end with {@link close}. */
export class ScopedClock implements Clock {
  readonly #clock: Clock;
  readonly #pending = new Set<() => void>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  random(): number {
    return this.#clock.random();
  }

  after(delay: number, run: () => void): () => void {
    if (this.#closed) return () => undefined;
    const cancel = this.#clock.after(delay, () => {
      this.#pending.delete(cancel);
      run();
    });
    this.#pending.add(cancel);
    return () => {
      this.#pending.delete(cancel);
      cancel();
    };
  }

  /** Calls off everything, and takes nothing more. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#pending) cancel();
    this.#pending.clear();
  }
}
