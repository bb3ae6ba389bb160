// Owns group commit: how long what arrives waits for company before it is decided together. Knows nothing of what it holds.

/** Half a flow-control window, so that a device that confirms every frame is never behind. */
const FULL_ITEMS = 100;
const FULL_BYTES = 128 * 1024;
/** After so many flushes hard on one another's heels what comes has to wait for company, and not only for the disk. */
const LOAD = 2;

interface Options<Item> {
  /** Decides over items, and writes. */
  readonly flush: (items: readonly Item[]) => void;
  /** Resolves when what was written is durable. */
  readonly durable: () => Promise<void>;
  /** How many ms under load lie between what was written last being durable and the next flush; asked anew each time. Load is {@link LOAD}. */
  readonly window: () => number;
}

/** Collects items while the object is busy; an item that comes to an idle object is passed on at once. No timer runs while nothing waits. */
export class Batch<Item> {
  readonly #options: Options<Item>;
  #waiting: Item[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #writing = 0;
  #durableAt = 0;
  /** How many flushes have followed the one before within a window. */
  #streak = 0;

  constructor(options: Options<Item>) {
    this.#options = options;
  }

  /** Adds an item that weighs `bytes`. */
  add(item: Item, bytes: number): void {
    this.#waiting.push(item);
    this.#bytes += bytes;
    if (this.#waiting.length >= FULL_ITEMS || this.#bytes >= FULL_BYTES) this.flush();
    else this.#schedule();
  }

  /** Passes on everything that waits, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    const items = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#writing++;
    this.#options.flush(items);
    void this.#settle();
  }

  /** A slow disk holds up the whole object; what has come in meanwhile must not be flushed one by one. */
  async #settle(): Promise<void> {
    try {
      await this.#options.durable();
    } finally {
      this.#writing--;
      this.#durableAt = Date.now();
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#writing > 0) return;
    const window = this.#options.window();
    const since = Date.now() - this.#durableAt;
    // A clock that was set back must not make anybody wait
    const isIdle = since >= window || since < 0;
    if (!isIdle && this.#streak >= LOAD) {
      this.#timer = setTimeout(() => this.flush(), window - since);
      return;
    }
    this.#streak = isIdle ? 0 : this.#streak + 1;
    this.flush();
  }
}
