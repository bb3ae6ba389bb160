// Owns the one alarm an object has: it rings at the earliest time the object's data ask for, and not at all when they ask for nothing.

/** The alarm of one object, re-armed from data and never from memory alone. */
export class Alarm {
  readonly #storage: DurableObjectStorage;
  readonly #due: () => number | null;
  /** `undefined`: set by an earlier life of this object, or not at all. */
  #at: number | null | undefined;
  #failures = 0;

  /** `due` reads from the data when there is next something to do, in ms; null for never. */
  constructor(storage: DurableObjectStorage, due: () => number | null) {
    this.#storage = storage;
    this.#due = due;
  }

  /** Sees to it that the alarm rings by `at` (ms), or earlier if something else is due. */
  by(at: number): void {
    if (this.#at === undefined) this.#set(earlier(at, this.#due()));
    else if (this.#at === null || at < this.#at) this.#set(at);
  }

  /** Sets the alarm to what the data ask for. */
  rearm(): void {
    const due = this.#due();
    if (due !== this.#at) this.#set(due);
  }

  /** Runs a sweep because the alarm rang. If it fails it is run again later, for ever, less and less often: the platform would give up after six times. */
  async ring(sweep: () => Promise<void>, onFailure: (error: unknown) => void): Promise<void> {
    this.#at = undefined;
    try {
      await sweep();
      this.#failures = 0;
      this.rearm();
    } catch (error) {
      onFailure(error);
      this.#failures++;
      this.#set(Date.now() + Math.min(2_000 * 2 ** this.#failures, 300_000));
    }
  }

  #set(at: number | null): void {
    this.#at = at;
    void (at === null ? this.#storage.deleteAlarm() : this.#storage.setAlarm(at));
  }
}

/** The earlier of two times; null is never. */
export function earlier(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
