// The machine's clock, except that a test may let time pass at once: what falls due meanwhile happens then.

import { type Clock, systemClock } from "../../client/engine/clock.ts";

export class LeapingClock implements Clock {
  #ahead = 0;
  readonly #waiting = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  random(): number {
    return systemClock.random();
  }

  after(delay: number, run: () => void): () => void {
    const waiting = {
      at: this.now() + delay,
      run: () => {
        end();
        run();
      },
    };
    this.#waiting.add(waiting);
    const cancel = systemClock.after(delay, () => waiting.run());
    const end = (): void => {
      cancel();
      this.#waiting.delete(waiting);
    };
    return end;
  }

  /** Lets `ms` pass. */
  leap(ms: number): void {
    this.#ahead += ms;
    const due = [...this.#waiting].filter(({ at }) => at <= this.now()).sort((a, b) => a.at - b.at);
    for (const { run } of due) run();
  }
}
