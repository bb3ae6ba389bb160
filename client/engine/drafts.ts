// Owns what was being written and is not sent: kept on this device alone, so that a reload loses none and no device overwrites another's.

import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import type { Store } from "./store.ts";

const PREFIX = "draft/";

/** The drafts of a profile, one per conversation at most. */
export class Drafts {
  readonly #store: Store;
  readonly #texts: Map<ConversationId, string>;

  private constructor(store: Store, texts: Map<ConversationId, string>) {
    this.#store = store;
    this.#texts = texts;
  }

  static async load(store: Store): Promise<Drafts> {
    const rows = await store.scan("meta", { prefix: PREFIX });
    const texts = rows.map(
      ({ key, value }) => [key.slice(PREFIX.length) as ConversationId, String(decodeCbor(value))] as const,
    );
    return new Drafts(store, new Map(texts));
  }

  /** What was being written into a conversation; empty for nothing. */
  of(conversation: ConversationId): string {
    return this.#texts.get(conversation) ?? "";
  }

  /** Keeps a text in place of the one before; an empty one is none. What no message could hold is cut off. */
  async keep(conversation: ConversationId, text: string): Promise<void> {
    const kept = text.slice(0, LIMITS.textCharacters).toWellFormed();
    if (kept === this.of(conversation)) return;
    if (kept === "") this.#texts.delete(conversation);
    else this.#texts.set(conversation, kept);
    const value = kept === "" ? null : encodeCbor(kept);
    await this.#store.write([{ table: "meta", key: PREFIX + conversation, value }]);
  }
}
