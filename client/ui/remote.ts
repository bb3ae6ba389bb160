// Owns the page's end of the engine: the Engine interface spoken over postMessage to the worker. It knows no view and no engine code.

import { Refusal } from "../../schemas/refusal.ts";
import type { Opener } from "../engine/seal/keys.ts";
import type { LockView } from "../engine/seal/seal.ts";
import type { Engine, EngineEvent, Snapshot } from "../engine/view.ts";
import type { Answer, FromPage, FromWorker, LockCalls, Method, Place } from "./wire.ts";

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
  /** This browser has nothing stored: until the engine is heard, what a first visit needs may be shown. */
  expectNothing(): void;
  /** Asks the tab that holds the engine to hand it over. */
  take(): void;
  readonly lock: Lock;
  /** Deletes everything this profile stored; resolves when it is gone. */
  forget(): Promise<void>;
}

/** The app lock, from both of its sides. */
export interface Lock extends LockCalls {
  /** Null without one, and while it is shut. */
  view(): LockView | null;
  /** Tells of every change of {@link view}. */
  on(listener: () => void): void;
  /** Tries a passphrase or a passkey; resolves when it is known how that went, which the place says. */
  open(opener: Opener): Promise<void>;
  /** Shuts it; {@link onShut} is told when everything is put down. */
  shut(): void;
  onShut(listener: () => void): void;
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
  inviteAgain: true,
  invites: true,
  revokeInvite: true,
  setPolicy: true,
  setRole: true,
  removeMember: true,
  create: true,
  add: true,
  remove: true,
  leave: true,
  send: true,
  keepDraft: true,
  retry: true,
  discard: true,
  rename: true,
  expire: true,
  timeline: true,
  read: true,
  pin: true,
  mute: true,
  unmute: true,
  encryption: true,
  safety: true,
  verify: true,
  scanSafety: true,
  auditKeys: true,
  noteFinding: true,
  devices: true,
  revokeDevice: true,
  renameDevice: true,
  releaseDevice: true,
  offerLink: true,
  confirmLink: true,
  cancelLink: true,
  link: true,
  recoveryWords: true,
  confirmWords: true,
  recover: true,
  passkeys: true,
  offerPasskey: true,
  addPasskey: true,
  removePasskey: true,
  passkeyChallenge: true,
  recoverByPasskey: true,
  backUp: true,
  settled: true,
  close: true,
};

/** Calls that wait for their answer. What is called before anything is heard of the engine is asked once it runs, and refused where it does not. */
function createCalls(port: Port, where: () => Place) {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Refusal) => void }>();
  const early: FromPage[] = [];
  let lastId = 0;
  return {
    call: (method: Method | keyof LockCalls, input: readonly unknown[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const place = where();
        if (place !== "here" && place !== "starting") return reject(new Refusal("unavailable"));
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        const call = { type: "call", id: lastId, method, input } as const;
        if (place === "here") port.postMessage(call);
        else early.push(call);
      }),
    /** The engine runs. */
    begin: (): void => {
      for (const call of early.splice(0)) port.postMessage(call);
    },
    answer: (answer: Answer): void => {
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (answer.ok) call?.resolve(answer.value);
      else call?.reject(new Refusal(answer.code, answer.detail));
    },
    /** The engine went away: nothing in flight will be answered. */
    abandon: (): void => {
      early.splice(0);
      for (const { reject } of waiting.values()) reject(new Refusal("unavailable"));
      waiting.clear();
    },
  };
}

/** Speaks to the worker behind `port`; its engine's snapshot is `loading` until the first one arrives. */
export function createRemote(port: Port): Remote {
  const calls = createCalls(port, () => place);
  const listeners = new Set<(event: EngineEvent) => void>();
  const placeListeners = new Set<(place: Place) => void>();
  const lockListeners = new Set<() => void>();
  const shutListeners = new Set<() => void>();
  const forgotten = Promise.withResolvers<void>();
  let tried = Promise.withResolvers<void>();
  let lock: LockView | null = null;
  let snapshot = LOADING;
  let place: Place = "starting";

  const emit = (event: EngineEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const move = (next: Place): void => {
    place = next;
    tried.resolve();
    if (next === "here") calls.begin();
    else calls.abandon();
    for (const listener of placeListeners) listener(place);
  };
  // Before its first word an error means that the worker cannot run; later ones are the browser's to report, it goes on.
  port.addEventListener("error", () => place === "starting" && move("crashed"));
  port.addEventListener("message", ({ data }) => {
    if (data.type === "answer") calls.answer(data);
    else if (data.type === "place") move(data.place);
    else if (data.type === "event") emit(data.event);
    else if (data.type === "forgotten") forgotten.resolve();
    else if (data.type === "lock") {
      lock = data.lock;
      for (const listener of lockListeners) listener();
    } else if (data.type === "locked") for (const listener of shutListeners) listener();
    else {
      snapshot = data.snapshot;
      emit({ type: "snapshot" });
    }
  });

  const methods = Object.keys(METHODS) as Method[];
  const remoteMethods = Object.fromEntries(
    methods.map((method) => [method, (...input: unknown[]) => calls.call(method, input)]),
  ) as unknown as Pick<Engine, Method>;
  const lockMethods: LockCalls = {
    guard: async (wanted) => void (await calls.call("guard", [wanted])),
    unguard: async (current) => void (await calls.call("unguard", [current])),
    setMinutes: async (minutes) => void (await calls.call("setMinutes", [minutes])),
  };
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
    lock: {
      view: () => lock,
      on: (listener) => void lockListeners.add(listener),
      open: (opener) => {
        tried = Promise.withResolvers<void>();
        port.postMessage({ type: "unlock", opener });
        return tried.promise;
      },
      shut: () => port.postMessage({ type: "lock" }),
      onShut: (listener) => void shutListeners.add(listener),
      ...lockMethods,
    },
    expectNothing: () => {
      if (place !== "starting" || snapshot !== LOADING) return;
      snapshot = { ...LOADING, phase: "fresh" };
      emit({ type: "snapshot" });
    },
    take: () => port.postMessage({ type: "take" }),
    forget: () => {
      port.postMessage({ type: "forget" });
      return forgotten.promise;
    },
  };
}
