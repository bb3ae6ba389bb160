// Owns group commit: how long what arrives waits for company before it is decided together. Knows nothing of what it holds.

/** Half a flow-control window, so that a device that confirms every frame is never behind. */
const FULL_ITEMS = 100;
const FULL_BYTES = 128 * 1024;
/** However long writes take, nobody waits longer than this for company, in ms; and so many are company enough. */
const LONGEST = 200;
const ENOUGH = 8;

interface Options<Item> {
  /** Decides over items, and writes. */
  readonly flush: (items: readonly Item[]) => void;
  /** Resolves when what was written is durable. */
  readonly durable: () => Promise<void>;
  /** How many ms under load lie at least between what was written last being durable and the next flush; asked anew each time. */
  readonly window: () => number;
}

/**
 * Collects items while the object is busy; an item that comes to an idle object is passed on at once. No timer runs while nothing waits.
 * The longer writes take to become durable, the longer a few wait for company: where many objects share a disk, fewer and larger writes
 * serve everybody sooner.
 */
export class Batch<Item> {
  readonly #options: Options<Item>;
  #waiting: Item[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #writing = 0;
  #durableAt = 0;
  /** How long the last two writes took, in ms: one of them alone may have met a hiccup of the disk. */
  #took: readonly [number, number] = [0, 0];

  constructor(options: Options<Item>) {
    this.#options = options;
  }

  /** Adds an item that weighs `bytes`. */
  add(item: Item, bytes: number): void {
    this.#waiting.push(item);
    this.#bytes += bytes;
    if (this.#waiting.length >= FULL_ITEMS || this.#bytes >= FULL_BYTES) this.flush();
    else {
      if (this.#waiting.length === ENOUGH) this.#callOff();
      this.#schedule();
    }
  }

  /** Passes on everything that waits, now. */
  flush(): void {
    this.#callOff();
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
    const begun = Date.now();
    try {
      await this.#options.durable();
    } finally {
      this.#writing--;
      this.#durableAt = Date.now();
      this.#took = [this.#durableAt - begun, this.#took[0]];
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  #callOff(): void {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#writing > 0) return;
    const longer = this.#waiting.length < ENOUGH ? Math.min(...this.#took, LONGEST) : 0;
    const window = Math.max(this.#options.window(), longer);
    const wait = this.#durableAt + window - Date.now();
    // A clock that was set back must not make anybody wait
    if (wait <= 0 || wait > window) this.flush();
    else this.#timer = setTimeout(() => this.flush(), wait);
  }
}
