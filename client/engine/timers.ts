// Owns when plaintext must be gone: an index by time in the store, one timer for the earliest of it. What is deleted is the conversation's.

import type { ConversationId } from "../../schemas/ids.ts";
import type { Clock } from "./clock.ts";
import { type Batch, sortable } from "./records.ts";
import type { ServerTime } from "./server-time.ts";
import type { Store } from "./store.ts";

const PREFIX = "timer/";
const PAGE = 500;
// A machine that slept or was set to another time is looked at again at least this often
const LONGEST = 60_000;
/** What could not be destroyed because the store failed is tried again after this long, in ms. */
const SWEEP_AGAIN = 1_000;

/** What is to be destroyed: the row `key` of a conversation's messages or intents. */
export interface Due {
  readonly table: "messages" | "intents";
  readonly key: string;
  /** By the server's clock. */
  readonly at: number;
}

/** Destroys rows of one conversation together with their entries here ({@link Timers.forget}), in one write. */
export type Destroy = (conversation: ConversationId, due: readonly Due[]) => Promise<void>;

/** All timers of a profile. */
export class Timers {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #time: ServerTime;
  #destroy: Destroy | null = null;
  #cancel: (() => void) | null = null;
  #armedFor = Number.POSITIVE_INFINITY;
  #sweeping: Promise<void> | null = null;
  #closed = false;

  constructor({ store, clock, time }: { store: Store; clock: Clock; time: ServerTime }) {
    this.#store = store;
    this.#clock = clock;
    this.#time = time;
  }

  /** Destroys everything overdue, then keeps doing so in time until {@link close}. */
  async start(destroy: Destroy): Promise<void> {
    this.#destroy = destroy;
    await this.sweep();
  }

  /** Adds an entry to the write that creates the row; call {@link arm} once it is durable. */
  note(batch: Batch, due: Due): void {
    batch.put("meta", keyOf(due), {});
  }

  /** Takes an entry out, in the write that deletes the row. */
  forget(batch: Batch, due: Due): void {
    batch.delete("meta", keyOf(due));
  }

  /** There is something to destroy at this time of the server's clock. */
  arm(at: number): void {
    if (this.#closed || this.#destroy === null || at >= this.#armedFor) return;
    this.#cancel?.();
    this.#armedFor = at;
    const delay = Math.min(Math.max(0, at - this.#time.now()), LONGEST);
    this.#cancel = this.#clock.after(delay, () => void this.sweep());
  }

  /** Destroys what is overdue now and arms for the next. Callers at the same time share one sweep. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = null;
    });
    return this.#sweeping;
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  async #sweep(): Promise<void> {
    this.#cancel?.();
    this.#armedFor = Number.POSITIVE_INFINITY;
    if (this.#destroy === null || this.#closed) return;
    for (let before: string | undefined; ; ) {
      const overdue = await this.#store.scan("meta", {
        prefix: PREFIX,
        before: `${PREFIX}${sortable(this.#time.now() + 1)}`,
        limit: PAGE,
      });
      for (const [conversation, due] of byConversation(overdue)) await this.#destroy(conversation, due);
      const [first] = overdue;
      if (overdue.length < PAGE || this.#closed || first?.key === before) break;
      before = first?.key;
    }
    const [next] = this.#closed ? [] : await this.#store.scan("meta", { prefix: PREFIX, limit: 1 });
    if (next === undefined) return;
    // What is overdue still could not be destroyed just now
    const { at } = read(next.key);
    this.arm(at > this.#time.now() ? at : this.#time.now() + SWEEP_AGAIN);
  }
}

function keyOf({ at, table, key }: Due): string {
  return `${PREFIX}${sortable(at)}/${table}/${key}`;
}

function read(timerKey: string): Due {
  const [, at = "0", table, ...key] = timerKey.split("/");
  return { at: Number(at), table: table === "intents" ? "intents" : "messages", key: key.join("/") };
}

function byConversation(entries: readonly { key: string }[]): Map<ConversationId, Due[]> {
  const found = new Map<ConversationId, Due[]>();
  for (const entry of entries) {
    const due = read(entry.key);
    const conversation = due.key.slice(0, due.key.indexOf("/")) as ConversationId;
    found.set(conversation, [...(found.get(conversation) ?? []), due]);
  }
  return found;
}
