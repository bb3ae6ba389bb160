// Runs the engine in a dedicated worker when it is this tab's turn, and carries calls to it and its news to the page. It knows the
// engine only by its interface, and no view.

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
const network = Object.assign(new EventTarget(), { navigator: { onLine: navigator.onLine } });
let engine: Engine | undefined;
let forget: (() => Promise<void>) | undefined;

const tell = (place: Place): void => scope.postMessage({ type: "place", place });

/** Runs the engine until another tab wants it. */
async function serve(wanted: Promise<void>): Promise<void> {
  const store = await openIndexedDbStore(NAME);
  // A fault inside the engine is for the browser's own report; it names no content.
  const opened = await openMessenger({
    store,
    server: location.origin,
    network,
    log: (_, error) => reportError(error),
  });
  engine = opened;
  forget = async () => {
    await opened.close();
    await store.destroy();
  };
  tell("here");
  post.follow(opened);
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
    tell("crashed");
    if (!(error instanceof DOMException && error.name === "AbortError")) reportError(error);
  },
});

async function answer({ id, method, input }: Extract<FromPage, { type: "call" }>): Promise<void> {
  if (engine === undefined) return;
  try {
    const call = engine[method] as (...input: readonly unknown[]) => Promise<unknown>;
    const value = await call.apply(engine, [...input]);
    post.answer({ type: "answer", id, ok: true, value });
  } catch (error) {
    const { code, detail } = isRefusal(error) ? error : { code: "internal" as const, detail: {} };
    post.answer({ type: "answer", id, ok: false, code, detail });
    if (!isRefusal(error)) reportError(error);
  }
}

scope.addEventListener("message", ({ data }) => {
  if (data.type === "call") void answer(data);
  else if (data.type === "take") turns.take();
  else if (data.type === "network") {
    network.navigator.onLine = data.online;
    network.dispatchEvent(new Event(data.online ? "online" : "offline"));
  } else void forget?.().then(() => scope.postMessage({ type: "forgotten" }));
});
