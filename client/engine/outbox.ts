// Owns what people want done in one conversation and is not done yet: the durable intents in their order. Seals and sends nothing itself.

import { equalBytes, randomBytes } from "../../schemas/bytes.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import type { IntentRecord, Wish } from "./records.ts";

// Whoever is out must be committed out before anybody may speak, who cannot follow can do neither, and keys must be renewed in time
const URGENCY: Partial<Record<Wish["kind"], number>> = { rejoin: 0, reset: 0, expel: 1, refresh: 2 };
const LATER = 3;

/** The intents of a conversation, as they are in the store. */
export class Outbox {
  readonly #conversation: ConversationId;
  #intents: readonly IntentRecord[];
  #order: number;

  constructor(conversation: ConversationId, intents: readonly IntentRecord[]) {
    this.#conversation = conversation;
    this.#intents = [...intents].sort(byOrder);
    this.#order = this.#intents.at(-1)?.order ?? 0;
  }

  /** Goes back to the intents as they were in the store, and to those that were put since `before` was all there were. */
  restore(intents: readonly IntentRecord[], before: readonly IntentRecord[]): void {
    const kept = new Set([...before, ...intents].map(({ order }) => order));
    this.#intents = [...intents, ...this.#intents.filter(({ order }) => !kept.has(order))].sort(byOrder);
    this.#order = Math.max(this.#order, this.#intents.at(-1)?.order ?? 0);
  }

  /** All intents in the order they were made, failed ones included. */
  get all(): readonly IntentRecord[] {
    return this.#intents;
  }

  /** Those that still can come true, in the order they must go out. */
  get open(): readonly IntentRecord[] {
    return this.#intents
      .filter(({ refusal }) => refusal === null)
      .sort((a, b) => urgency(a) - urgency(b) || byOrder(a, b));
  }

  /** The intent that becomes the envelope `id`. */
  find(id: Uint8Array): IntentRecord | undefined {
    return this.#intents.find((intent) => equalBytes(intent.id, id));
  }

  /** A new intent after all others; it counts once it is durable and {@link put}. */
  compose(wish: Wish, composedAt: number): IntentRecord {
    this.#order += 1;
    const conversation = this.#conversation;
    return { conversation, order: this.#order, id: randomBytes(16), wish, composedAt, sealed: null, refusal: null };
  }

  /** Takes in an intent that is durable, new or changed. */
  put(intent: IntentRecord): void {
    this.#intents = [...this.#intents.filter(({ order }) => order !== intent.order), intent].sort(byOrder);
  }

  /** Forgets an intent whose deletion is durable. */
  delete({ order }: IntentRecord): void {
    this.#intents = this.#intents.filter((intent) => intent.order !== order);
  }
}

function byOrder(a: IntentRecord, b: IntentRecord): number {
  return a.order - b.order;
}

function urgency({ wish }: IntentRecord): number {
  return (wish === null ? undefined : URGENCY[wish.kind]) ?? LATER;
}
