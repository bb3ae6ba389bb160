// Owns asking the server for what a change of members needs its consent to: at once, and again until it answers. Runs beside the ledger's turns.

import { type Changes, codeOf, mayPass } from "./changes.ts";
import type { Departures } from "./departures.ts";
import type { Ledger } from "./ledger.ts";
import type { IntentRecord } from "./records.ts";
import { storeRefusal } from "./store.ts";

/** Times in ms. */
const ASK_AGAIN = { least: 1_000, most: 60_000 };

/** The questions of one conversation to the server. */
export class Consent {
  readonly #ledger: Ledger;
  readonly #changes: Changes;
  readonly #departures: Departures;
  /** Told when a question has been answered, or could not be asked. */
  readonly #given: () => void;
  readonly #asking = new Map<number, Promise<void>>();
  #failures = 0;
  #isWaiting = false;

  constructor(ledger: Ledger, parts: { changes: Changes; departures: Departures; given: () => void }) {
    this.#ledger = ledger;
    this.#changes = parts.changes;
    this.#departures = parts.departures;
    this.#given = parts.given;
  }

  get idle(): boolean {
    return this.#asking.size === 0;
  }

  /** Asks for what a durable wish needs, once at a time. @throws {Refusal} any — the server said no; the wish is forgotten */
  ask(intent: IntentRecord): Promise<void> {
    const { order } = intent;
    const asking = this.#asking.get(order);
    if (asking !== undefined) return asking;
    if (!this.#changes.needsServer(intent)) return Promise.resolve();
    const asked = this.#ask(intent).finally(() => {
      this.#asking.delete(order);
      this.#given();
    });
    this.#asking.set(order, asked);
    return asked;
  }

  /** Asks for everything that waits to be asked for, in the background; not while the server is given time. */
  askAll(): void {
    const { outbox, record, stopped, surroundings } = this.#ledger;
    if (this.#isWaiting || stopped || record.state === "ended" || record.state === "broken") return;
    for (const intent of outbox.open) {
      if (!this.#changes.needsServer(intent)) continue;
      this.ask(intent).catch((error: unknown) => surroundings.fault("change", error));
    }
  }

  /** The server can be reached again. */
  wake(): void {
    this.#failures = 0;
    this.#isWaiting = false;
    this.askAll();
  }

  async #ask(intent: IntentRecord): Promise<void> {
    try {
      await this.#changes.prepare(intent);
      this.#failures = 0;
      if (intent.wish?.kind === "create") await this.#founded();
      if (intent.wish?.kind === "leave") await this.#left(intent);
    } catch (error) {
      if (mayPass(error)) {
        this.#changes.forget(intent);
        return this.#askLater();
      }
      await this.#ledger.turn(() => this.#departures.fail(intent, codeOf(error)));
      throw error;
    }
  }

  async #left(intent: IntentRecord): Promise<void> {
    await this.#ledger.turn(async () => {
      await this.#changes.make(intent);
      for (const waiting of this.#ledger.outbox.open) await this.#departures.fail(waiting, "forbidden");
    });
  }

  async #founded(): Promise<void> {
    const isKept = await this.#ledger.turn(async () => {
      if (this.#ledger.record.founded) return true;
      const draft = this.#ledger.draft();
      draft.set({ founded: true });
      await this.#ledger.save(draft);
      return true;
    });
    if (isKept !== true) throw storeRefusal("unavailable", "not kept");
  }

  #askLater(): void {
    const { clock } = this.#ledger.surroundings;
    this.#failures += 1;
    this.#isWaiting = true;
    const longest = Math.min(ASK_AGAIN.most, ASK_AGAIN.least * 2 ** this.#failures);
    clock.after(longest * clock.random(), () => {
      this.#isWaiting = false;
      this.askAll();
    });
  }
}
