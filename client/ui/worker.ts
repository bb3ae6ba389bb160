// Runs the engine in a dedicated worker, in one tab at a time: whoever has its turn has the engine. It knows
// the engine only by its interface, and no view.

import { isRefusal } from "../../schemas/refusal.ts";
import { takeTurns } from "../engine/lock.ts";
import { openMessenger } from "../engine/messenger.ts";
import { openIndexedDbStore } from "../engine/store-indexeddb.ts";
import type { Engine } from "../engine/view.ts";
import { createPost } from "./post.ts";
import type { FromPage, FromWorker, Place } from "./wire.ts";

/** The part of a worker's global that is used here; the DOM library describes a page's. */
interface WorkerScope {
  postMessage(message: FromWorker): void;
  addEventListener(type: "message", listener: (event: { data: FromPage }) => void): void;
}

const NAME = "kuvert";

const scope = globalThis as unknown as WorkerScope;
const post = createPost((message) => scope.postMessage(message));
let engine: Engine | undefined;
let destroy: (() => Promise<void>) | undefined;

const tell = (place: Place): void => scope.postMessage({ type: "place", place });

/** Runs the engine until another tab wants it. */
async function serve(wanted: Promise<void>): Promise<void> {
  const store = await openIndexedDbStore(NAME);
  const opened = await openMessenger({ store, server: location.origin });
  engine = opened;
  destroy = async () => {
    await opened.close();
    await store.destroy();
  };
  post.follow(opened);
  tell("here");
  await wanted;
  engine = undefined;
  post.stop();
  await opened.close();
}

const turns = takeTurns({
  name: NAME,
  serve,
  onElsewhere: () => tell("elsewhere"),
  onEnd: (error) => {
    // Failed, or taken by force: nothing may be written from here any more, and a fresh start of this page is the way back.
    tell("crashed");
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  },
});

async function answer({ id, method, input }: Extract<FromPage, { type: "call" }>): Promise<void> {
  try {
    if (engine === undefined) return;
    const call = engine[method] as (...input: readonly unknown[]) => Promise<unknown>;
    post.answer({ type: "answer", id, ok: true, value: await call.apply(engine, [...input]) });
  } catch (error) {
    const { code, detail } = isRefusal(error) ? error : { code: "internal" as const, detail: {} };
    post.answer({ type: "answer", id, ok: false, code, detail });
    if (!isRefusal(error)) throw error;
  }
}

scope.addEventListener("message", ({ data }) => {
  if (data.type === "call") void answer(data);
  else if (data.type === "take") turns.take();
  else void destroy?.().then(() => scope.postMessage({ type: "forgotten" }));
});
