// Owns the page's end of the engine: the Engine interface spoken over postMessage to the worker. It knows no view and no engine code.

import { Refusal } from "../../schemas/refusal.ts";
import type { Engine, EngineEvent, Snapshot } from "../engine/view.ts";
import type { Answer, FromPage, FromWorker, Method, Place } from "./wire.ts";

/** The part of a Worker that the proxy needs. */
export interface Port {
  postMessage(message: FromPage): void;
  addEventListener(type: "message", listener: (event: { data: FromWorker }) => void): void;
  addEventListener(type: "error", listener: () => void): void;
}

export interface Remote {
  readonly engine: Engine;
  /** Tells where the engine runs, now and at every change. */
  onPlace(listener: (place: Place) => void): void;
  /** Asks the tab that holds the engine to hand it over. */
  take(): void;
  /** Deletes everything this profile stored; resolves when it is gone. */
  forget(): Promise<void>;
}

const LOADING: Snapshot = {
  phase: "loading",
  code: null,
  connection: "connecting",
  account: null,
  policy: null,
  residency: null,
  safekeeping: null,
  linking: null,
  conversations: [],
  members: [],
  findings: [],
};

const METHODS: Readonly<Record<Method, true>> = {
  signUp: true,
  previewInvite: true,
  join: true,
  invite: true,
  invites: true,
  revokeInvite: true,
  create: true,
  add: true,
  remove: true,
  leave: true,
  send: true,
  retry: true,
  discard: true,
  rename: true,
  expire: true,
  timeline: true,
  read: true,
  encryption: true,
  safety: true,
  verify: true,
  noteFinding: true,
  devices: true,
  revokeDevice: true,
  renameDevice: true,
  offerLink: true,
  confirmLink: true,
  cancelLink: true,
  link: true,
  recoveryWords: true,
  confirmWords: true,
  recover: true,
  backUp: true,
  settled: true,
  close: true,
};

/** Calls that wait for their answer. */
function createCalls(port: Port) {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Refusal) => void }>();
  let lastId = 0;
  return {
    call: (method: Method, input: readonly unknown[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        port.postMessage({ type: "call", id: lastId, method, input });
      }),
    answer: (answer: Answer): void => {
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (answer.ok) call?.resolve(answer.value);
      else call?.reject(new Refusal(answer.code, answer.detail));
    },
    /** The engine went away: nothing in flight will be answered. */
    abandon: (): void => {
      for (const { reject } of waiting.values()) reject(new Refusal("unavailable"));
      waiting.clear();
    },
  };
}

/** Speaks to the worker behind `port`; its engine's snapshot is `loading` until the first one arrives. */
export function createRemote(port: Port): Remote {
  const calls = createCalls(port);
  const listeners = new Set<(event: EngineEvent) => void>();
  const placeListeners = new Set<(place: Place) => void>();
  const forgotten = Promise.withResolvers<void>();
  let snapshot = LOADING;
  let place: Place = "starting";

  const emit = (event: EngineEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const move = (next: Place): void => {
    place = next;
    if (next !== "here") calls.abandon();
    for (const listener of placeListeners) listener(place);
  };
  // Before its first word an error means that the worker cannot run; later ones are the browser's to report, it goes on.
  port.addEventListener("error", () => place === "starting" && move("crashed"));
  port.addEventListener("message", ({ data }) => {
    if (data.type === "answer") calls.answer(data);
    else if (data.type === "place") move(data.place);
    else if (data.type === "event") emit(data.event);
    else if (data.type === "forgotten") forgotten.resolve();
    else {
      snapshot = data.snapshot;
      emit({ type: "snapshot" });
    }
  });

  const methods = Object.keys(METHODS) as Method[];
  const remoteMethods = Object.fromEntries(
    methods.map((method) => [method, (...input: unknown[]) => calls.call(method, input)]),
  ) as unknown as Pick<Engine, Method>;
  return {
    engine: {
      ...remoteMethods,
      snapshot: () => snapshot,
      on: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    onPlace: (listener) => {
      placeListeners.add(listener);
      listener(place);
    },
    take: () => port.postMessage({ type: "take" }),
    forget: () => {
      port.postMessage({ type: "forget" });
      return forgotten.promise;
    },
  };
}
