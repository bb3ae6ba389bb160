// Runs the engine in a dedicated worker when it is this tab's turn, and carries calls to it and its news to the page. It knows the
// engine only by its interface, and no view.

import { isRefusal, Refusal } from "../../schemas/refusal.ts";
import { createDoor } from "../engine/api.ts";
import { systemClock } from "../engine/clock.ts";
import { takeTurns } from "../engine/lock.ts";
import { openMessenger } from "../engine/messenger.ts";
import type { Opener } from "../engine/seal/keys.ts";
import type { Seal } from "../engine/seal/seal.ts";
import { type ClosedProfile, type OpenProfile, unlock, wipe } from "../engine/seal/unlock.ts";
import { sealStore } from "../engine/sealed-store.ts";
import { openIndexedDbStore } from "../engine/store-indexeddb.ts";
import type { Engine } from "../engine/view.ts";
import { createPost } from "./post.ts";
import type { FromPage, FromWorker, LockCalls, Method, Place } from "./wire.ts";

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
let seal: Seal | undefined;
let profile: ClosedProfile | undefined;
/** Told what somebody opens the lock with, and that the profile shall be locked. */
let entered: (opener: Opener) => void = () => undefined;
let locked: () => void = () => undefined;

const tell = (place: Place): void => scope.postMessage({ type: "place", place });
const tellLock = (): void => scope.postMessage({ type: "lock", lock: seal?.lock ?? null });

async function openProfile(): Promise<ClosedProfile> {
  profile = await openIndexedDbStore(NAME);
  return profile;
}

/** Runs the engine until another tab wants it. */
async function serve(wanted: Promise<void>): Promise<void> {
  const opened = await unlock({
    openProfile,
    door: createDoor({ server: location.origin }),
    clock: systemClock,
    onGate: tell,
    opener: () =>
      new Promise((resolve) => {
        entered = resolve;
      }),
    network,
    unwanted: wanted,
  });
  const why = opened && (await run(opened, wanted));
  // The page ends this worker, and with it every key in its memory
  if (why === "locked") scope.postMessage({ type: "locked" });
  if (why === "revoked") {
    profile = await wipe(await openProfile(), openProfile);
    tell({ kind: "shut", code: "device_revoked" });
    await wanted;
    await profile.close();
  }
}

/** Runs the engine over an open profile; resolves with why it no longer does, everything put down. */
async function run(
  { profile, seal: open }: OpenProfile,
  wanted: Promise<void>,
): Promise<"wanted" | "locked" | "revoked"> {
  const { promise: over, resolve: end } = Promise.withResolvers<"wanted" | "locked" | "revoked">();
  locked = () => end("locked");
  void wanted.then(() => end("wanted"));
  // A fault inside the engine is for the browser's own report; it names no content.
  const messenger = await openMessenger({
    store: sealStore(profile, await open.key()),
    sealing: open,
    server: location.origin,
    kind: /Mobi|Android|iPhone|iPad/.test(navigator.userAgent) ? "phone" : "computer",
    network,
    log: (_, error) => reportError(error),
  });
  const settle = (): void => {
    const { phase, code } = messenger.snapshot();
    if (phase === "ready") open.accepted().catch(reportError);
    if (phase === "ended" && code === "device_revoked") end("revoked");
  };
  messenger.on(settle);
  settle();
  [engine, seal] = [messenger, open];
  tellLock();
  tell("here");
  post.follow(messenger);
  const why = await over;
  [engine, seal] = [undefined, undefined];
  post.stop();
  await messenger.close();
  return why;
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

/** Changes of the app lock; each is told of before its answer. */
function lockCalls(open: Seal): LockCalls {
  const told =
    <Input extends readonly unknown[]>(change: (...input: Input) => Promise<void>) =>
    async (...input: Input): Promise<void> => {
      await change(...input);
      tellLock();
    };
  return {
    guard: told((wanted) => open.guard(wanted)),
    unguard: told((current) => open.unguard(current)),
    setMinutes: told((minutes) => open.setMinutes(minutes)),
  };
}

async function answer({ id, method, input }: Extract<FromPage, { type: "call" }>): Promise<void> {
  if (engine === undefined || seal === undefined) return;
  try {
    const calls = lockCalls(seal);
    const target = Object.hasOwn(calls, method) ? calls[method as keyof LockCalls] : engine[method as Method];
    const call = target as (...input: readonly unknown[]) => Promise<unknown>;
    const value = await call.apply(engine, [...input]);
    post.answer({ type: "answer", id, ok: true, value });
  } catch (error) {
    const { code, detail } = isRefusal(error) ? error : new Refusal("internal");
    post.answer({ type: "answer", id, ok: false, code, detail });
    if (!isRefusal(error)) reportError(error);
  }
}

/** Deletes everything this profile stored, whether it is open or not. */
async function forget(): Promise<void> {
  await engine?.close();
  await profile?.destroy();
  scope.postMessage({ type: "forgotten" });
}

scope.addEventListener("message", ({ data }) => {
  if (data.type === "call") void answer(data);
  else if (data.type === "take") turns.take();
  else if (data.type === "unlock") entered(data.opener);
  else if (data.type === "lock") locked();
  else if (data.type === "network") {
    network.navigator.onLine = data.online;
    network.dispatchEvent(new Event(data.online ? "online" : "offline"));
  } else void forget();
});
