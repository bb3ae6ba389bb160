// Owns the one socket that is always on: nudges, welcomes and the state of the key-package stock, each handed on in the order it came.

import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import { MailboxServerFrame, type Nudge, type WelcomeItem } from "../../schemas/frames.ts";
import type { RefusalCode } from "../../schemas/refusal.ts";
import type { Clock } from "./clock.ts";
import { type Dialer, Link } from "./link.ts";
import { isStoreFailure, type Store } from "./store.ts";

const KEY = "mailbox";
/** What waited follows `ready` at once; when this long nothing came, nothing waited. In ms. */
const BACKLOG_WITHIN = 100;
/** What the store could not take is brought again after this long, in ms. */
const HEED_AGAIN = 2_000;

/** What a mailbox hands on. Each promise resolves once what it was told is durable. */
export interface MailboxEvents {
  ready(frame: { now: number; stock: number; lastResort: boolean }): Promise<void>;
  nudges(nudges: readonly Nudge[]): Promise<void>;
  welcome(item: WelcomeItem): Promise<void>;
  stock(stock: number): Promise<void>;
  /** Online or idle are not what they were. */
  changed(): void;
  /** The server will not have this device any more. */
  ended(code: RefusalCode): void;
  fault(error: unknown): void;
}

/** The device's mailbox. */
export class Mailbox {
  readonly #store: Store;
  readonly #events: MailboxEvents;
  readonly #clock: Clock;
  readonly #link: Link<typeof MailboxServerFrame>;
  #after: number;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #online = false;
  #welcomed = false;

  constructor(options: { store: Store; dialer: Dialer; clock: Clock; after: number; events: MailboxEvents }) {
    this.#store = options.store;
    this.#events = options.events;
    this.#clock = options.clock;
    this.#after = options.after;
    this.#link = new Link({
      dialer: options.dialer,
      schema: MailboxServerFrame,
      clock: options.clock,
      onOpen: () => this.#link.send({ type: "resume", after: this.#after }),
      onFrame: (frame) => this.#receive(frame),
      onClose: ({ terminal, refusal }) => {
        this.#online = false;
        this.#welcomed = false;
        if (terminal && refusal !== null) this.#events.ended(refusal);
        else this.#events.changed();
      },
    });
  }

  /** The number of the last nudge that was seen to. */
  static async last(store: Store): Promise<number> {
    const kept = await store.get("meta", KEY);
    return kept === undefined ? 0 : Number(decodeCbor(kept));
  }

  /** The server has answered, and is as good as its word until the socket ends. */
  get online(): boolean {
    return this.#online;
  }

  /** Everything that waited in the mailbox has been seen to. */
  get idle(): boolean {
    return this.#welcomed && this.#waiting === 0;
  }

  wake(): void {
    this.#link.wake();
  }

  close(): void {
    this.#link.close();
  }

  #receive(frame: MailboxServerFrame): void {
    if (frame.type === "ready") {
      this.#online = true;
      this.#link.resumed();
    }
    this.#waiting += 1;
    this.#turn = this.#turn
      .then(() => this.#heed(frame))
      .catch((error: unknown) => {
        this.#events.fault(error);
        // The server says it again on the next socket only
        if (isStoreFailure(error)) this.#clock.after(HEED_AGAIN, () => this.#receive(frame));
      })
      .finally(() => {
        this.#waiting -= 1;
        this.#events.changed();
      });
  }

  async #heed(frame: MailboxServerFrame): Promise<void> {
    if (frame.type === "ready") {
      this.#clock.after(BACKLOG_WITHIN, () => {
        this.#welcomed = this.#online;
        this.#events.changed();
      });
      await this.#events.ready(frame);
    } else if (frame.type === "nudges") await this.#nudged(frame.nudges);
    else if (frame.type === "welcomes") {
      for (const item of frame.welcomes) {
        await this.#events.welcome(item);
        this.#link.send({ type: "confirm", welcome: item.n });
      }
    } else if (frame.type === "stock") await this.#events.stock(frame.stock);
    else this.#events.fault(new Error(frame.code));
  }

  async #nudged(nudges: readonly Nudge[]): Promise<void> {
    await this.#events.nudges(nudges);
    this.#after = Math.max(this.#after, ...nudges.map(({ n }) => n));
    await this.#store.write([{ table: "meta", key: KEY, value: encodeCbor(this.#after) }]);
  }
}
