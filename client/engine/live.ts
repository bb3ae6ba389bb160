// Owns who listens to the engine, and tells them once per turn of the event loop what changed. Knows nothing of what changed.

import type { ConversationId } from "../../schemas/ids.ts";
import type { EngineEvent, MessageView } from "./view.ts";

/** The engine's listeners. */
export class Live {
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #timelines = new Set<ConversationId>();
  #snapshot = false;
  #scheduled = false;

  /** Calls `listener` for every event until the returned function is called. */
  on(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What everybody sees changed. */
  changed(): void {
    this.#snapshot = true;
    this.#schedule();
  }

  /** The lines of a conversation changed, and with them its place in the list. */
  timeline(conversation: ConversationId): void {
    this.#timelines.add(conversation);
    this.changed();
  }

  /** Somebody else's text came in and is durable. */
  message(conversation: ConversationId, message: MessageView): void {
    this.#emit({ type: "message", conversation, message });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const timelines = [...this.#timelines];
    const snapshot = this.#snapshot;
    this.#timelines.clear();
    this.#snapshot = false;
    this.#scheduled = false;
    if (snapshot) this.#emit({ type: "snapshot" });
    for (const conversation of timelines) this.#emit({ type: "timeline", conversation });
  }

  #emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
