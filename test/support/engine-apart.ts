// An engine on a profile in a process of its own, which can be killed with -9 at any moment. It knows nothing of what the engine does.

import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Write } from "../../client/engine/store.ts";
import type { Engine } from "../../client/engine/view.ts";
import { createRemote, type Port } from "../../client/ui/remote.ts";
import type { FromPage, FromWorker } from "../../client/ui/wire.ts";
import type { ClientFrame } from "../../schemas/frames.ts";
import type { Incoming, Tampering } from "./tampered-socket.ts";
import type { Weather } from "./weather.ts";

const PROGRAM = fileURLToPath(new URL("./engine-process.ts", import.meta.url));
/** As the installed program sets it. */
const NODE_COMPILE_CACHE = join(import.meta.dirname, "../../node_modules/.cache/node");

/** What a process is started with. */
export interface Circumstances {
  readonly folder: string;
  readonly server: string;
  /** What its frames meet. */
  readonly weather: Weather;
  /** What chance is drawn from. */
  readonly seed: number;
}

export type ToProcess = FromPage | { readonly type: "cut" };

export type FromProcess =
  | FromWorker
  | { readonly type: "incoming"; readonly frame: Incoming; readonly url: string }
  | { readonly type: "outgoing"; readonly frame: ClientFrame; readonly url: string }
  | { readonly type: "writes"; readonly writes: readonly Write[] }
  | { readonly type: "fault"; readonly fault: string };

/** Who is told what the process does. */
export interface Witness {
  /** Hears every frame; what it answers changes nothing. */
  readonly tap: Tampering;
  readonly writes: (writes: readonly Write[]) => void;
  readonly fault: (fault: string) => void;
  /** It has ended without having been told to close. */
  readonly died: () => void;
}

export interface EngineApart {
  readonly engine: Engine;
  /** Ends all its connections. */
  cut(): void;
  /** Kills it with -9; resolves when it is gone and all it told has been heard. */
  kill(): Promise<void>;
  /** Closes the engine and ends the process; also when it is dead already. */
  close(): Promise<void>;
}

/** Starts a process and resolves when its engine is open. @throws Error — it ended before */
export async function openApart(circumstances: Circumstances, witness: Witness): Promise<EngineApart> {
  const child = fork(PROGRAM, [JSON.stringify(circumstances)], {
    serialization: "advanced",
    execArgv: ["--disable-warning=ExperimentalWarning"],
    env: { NODE_COMPILE_CACHE, ...process.env },
  });
  const gone = Promise.all([once(child, "exit"), once(child, "disconnect")]);
  const listeners = new Set<(event: { data: FromWorker }) => void>();
  const hear = (data: FromWorker): void => {
    for (const listener of listeners) listener({ data });
  };
  // Whoever waits for an answer is told that there will be none
  const leave = (): void => hear({ type: "place", place: "elsewhere" });
  const send = (message: ToProcess): void => void child.send(message, (error) => error !== null && leave());
  const port: Port = {
    postMessage: send,
    addEventListener: (type: "message" | "error", listener: (event: { data: FromWorker }) => void) => {
      if (type === "message") listeners.add(listener);
    },
  };
  const { engine, onPlace } = createRemote(port);
  let isClosing = false;
  child.on("message", (message: FromProcess) => {
    if (message.type === "incoming") witness.tap.incoming?.(message.frame, message.url);
    else if (message.type === "outgoing") witness.tap.outgoing?.(message.frame, message.url);
    else if (message.type === "writes") witness.writes(message.writes);
    else if (message.type === "fault") witness.fault(message.fault);
    else hear(message);
  });
  void gone.then(() => {
    leave();
    if (!isClosing) witness.died();
  });
  await new Promise<void>((opened, failed) => {
    onPlace((place) => {
      if (place === "here") opened();
      if (place === "elsewhere") failed(new Error(`an engine on ${circumstances.folder} ended before it was open`));
    });
  });
  return {
    engine,
    cut: () => send({ type: "cut" }),
    kill: async () => {
      child.kill("SIGKILL");
      await gone;
    },
    close: async () => {
      isClosing = true;
      await engine.close().catch(() => undefined);
      if (child.connected) child.disconnect();
      await gone;
    },
  };
}
