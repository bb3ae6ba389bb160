// Owns group commit: how long what arrives waits for company before it is decided together. Knows nothing of what it holds.

/** Half a flow-control window, so that a device that confirms every frame is never behind. */
const FULL_ITEMS = 100;
const FULL_BYTES = 128 * 1024;

interface Options<Item> {
  /** Decides over items, and writes. */
  readonly flush: (items: readonly Item[]) => void;
  /** Resolves when what was written is durable. */
  readonly durable: () => Promise<void>;
  /** How many ms under load lie between what was written last being durable and the next flush; asked anew each time. */
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
    const wait = this.#durableAt + window - Date.now();
    // A clock that was set back must not make anybody wait
    if (wait <= 0 || wait > window) this.flush();
    else this.#timer = setTimeout(() => this.flush(), wait);
  }
}
