// Owns the order and number of messages from the worker to the page: many changes of the engine in one task become one message, of the
// texts that came into a conversation in one task only the last is told, and what a call changed arrives before its answer.

import type { ConversationId } from "../../schemas/ids.ts";
import type { Engine, EngineEvent } from "../engine/view.ts";
import type { Answer, FromWorker } from "./wire.ts";

export interface Post {
  /** Passes on what this engine tells from now on, beginning with its snapshot. */
  follow(engine: Engine): void;
  stop(): void;
  answer(answer: Answer): void;
}

/** Sends by `send`, which is a worker's postMessage. */
export function createPost(send: (message: FromWorker) => void): Post {
  const timelines = new Set<ConversationId>();
  /** By conversation: a backlog brings thousands, and none but the last of them would be heard. */
  const texts = new Map<ConversationId, Extract<EngineEvent, { type: "message" }>>();
  let engine: Engine | undefined;
  let unfollow: (() => void) | undefined;
  let changed = false;
  let planned = false;

  const flush = (): void => {
    planned = false;
    if (changed && engine !== undefined) send({ type: "snapshot", snapshot: engine.snapshot() });
    for (const conversation of timelines) send({ type: "event", event: { type: "timeline", conversation } });
    for (const event of texts.values()) send({ type: "event", event });
    changed = false;
    timelines.clear();
    texts.clear();
  };
  const plan = (): void => {
    if (planned) return;
    planned = true;
    setTimeout(flush);
  };
  return {
    follow: (next) => {
      engine = next;
      changed = true;
      flush();
      unfollow = next.on((event) => {
        if (event.type === "snapshot") changed = true;
        else if (event.type === "timeline") timelines.add(event.conversation);
        else texts.set(event.conversation, event);
        plan();
      });
    },
    stop: () => {
      unfollow?.();
      engine = undefined;
    },
    answer: (answer) => {
      flush();
      send(answer);
    },
  };
}
