// Runs the engine in a dedicated worker, in one tab at a time: whoever holds the Web Lock has the engine, the others wait and may
// ask for it. It knows the engine only by its interface, and no view.

import { isRefusal } from "../../schemas/refusal.ts";
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
/** A reload lets go of the lock within this time, in ms; waiting longer means another tab. */
const PATIENCE = 500;
/** A tab that has not handed over within this time, in ms, never will. */
const PATIENCE_FOR_HANDOVER = 5_000;

const scope = globalThis as unknown as WorkerScope;
const channel = new BroadcastChannel(NAME);
const post = createPost((message) => scope.postMessage(message));
let engine: Engine | undefined;
let giveWay: (() => void) | undefined;
let destroy: (() => Promise<void>) | undefined;
let waiting = new AbortController();

const tell = (place: Place): void => scope.postMessage({ type: "place", place });

/** Runs the engine until somebody else wants it. The lock is held meanwhile. */
async function serve(): Promise<void> {
  const store = await openIndexedDbStore(NAME);
  const opened = await openMessenger({ store, server: location.origin });
  const { promise: wanted, resolve } = Promise.withResolvers<void>();
  engine = opened;
  giveWay = resolve;
  destroy = async () => {
    await opened.close();
    await store.destroy();
  };
  post.follow(opened);
  tell("here");
  await wanted;
  giveWay = undefined;
  engine = undefined;
  post.stop();
  await opened.close();
}

/** Waits for the lock, serves, and queues again behind whoever asked. */
async function hold(options: LockOptions = {}): Promise<void> {
  waiting = new AbortController();
  const patience = setTimeout(() => tell("elsewhere"), PATIENCE);
  try {
    // A request that steals cannot be taken back.
    const request = options.steal === true ? options : { signal: waiting.signal };
    await navigator.locks.request(NAME, request, () => {
      clearTimeout(patience);
      return serve();
    });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) {
      tell("crashed");
      throw error;
    }
    // Stolen: nothing may be written from here any more, and a fresh start of this page is the way back.
    if (engine !== undefined) {
      tell("crashed");
      return;
    }
  } finally {
    clearTimeout(patience);
  }
  tell("elsewhere");
  void hold();
}

/** Another tab asked: hand over, or step behind it in the queue. */
channel.addEventListener("message", () => {
  if (giveWay === undefined) waiting.abort();
  else giveWay();
});

function take(): void {
  channel.postMessage("take");
  setTimeout(() => {
    if (engine === undefined) void hold({ steal: true });
  }, PATIENCE_FOR_HANDOVER);
}

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
  else if (data.type === "take") take();
  else void destroy?.().then(() => scope.postMessage({ type: "forgotten" }));
});

void hold();
