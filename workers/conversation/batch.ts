// Owns group commit: how long what arrives waits for company before it is decided together. Knows nothing of what it holds.

/** Half a flow-control window, so that a device that confirms every frame is never behind. */
const FULL_ITEMS = 100;
const FULL_BYTES = 128 * 1024;

/** Collects items while the object is busy; an item that comes to an idle object is passed on at once. No timer runs while nothing waits. */
export class Batch<Item> {
  readonly #flush: (items: readonly Item[]) => void;
  readonly #window: () => number;
  #waiting: Item[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #lastAt = 0;

  /** `window`: how many ms lie between two flushes under load; asked anew each time. */
  constructor(flush: (items: readonly Item[]) => void, window: () => number) {
    this.#flush = flush;
    this.#window = window;
  }

  /** Adds an item that weighs `bytes`. */
  add(item: Item, bytes: number): void {
    this.#waiting.push(item);
    this.#bytes += bytes;
    if (this.#waiting.length >= FULL_ITEMS || this.#bytes >= FULL_BYTES) this.flush();
    else if (this.#timer === null) this.#schedule();
  }

  /** Passes on everything that waits, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    const items = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#lastAt = Date.now();
    this.#flush(items);
  }

  #schedule(): void {
    const wait = this.#lastAt + this.#window() - Date.now();
    // A clock that was set back must not make anybody wait
    if (wait <= 0 || wait > this.#window()) this.flush();
    else this.#timer = setTimeout(() => this.flush(), wait);
  }
}
