// Runs the built Worker in the real runtime on this machine, with its state on disk. Its options are what wrangler.toml says, so that bindings are
// described once; it changes only what a runtime without jurisdictions and without secrets needs.

import { type ChildProcess, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from "miniflare";
import { type Configuration, readConfiguration } from "./configuration.ts";

const root = join(import.meta.dirname, "..");

const FILES = "files";

export interface ServeOptions {
  /** 0 lets the system choose. */
  readonly port: number;
  /** The folder of everything that must survive a restart. */
  readonly state: string;
  /** What to serve: `dist/` unless told. */
  readonly dist?: string;
  readonly residency?: "simulated" | "platform";
  /** Replaces every rate limit of wrangler.toml, for tests and benchmarks. `Infinity`: nothing is counted. */
  readonly requestsPerMinute?: number;
  /** Replaces how many messages a device may send to one conversation, per second and at once, for benchmarks. */
  readonly sendsPerSecond?: number;
  /** Opens the operator's routes; without it there are none. */
  readonly operatorSecret?: string;
  readonly quiet?: boolean;
  /** Told when the runtime died and was started again on the same port. */
  readonly onRestart?: (workerdPid: number) => void;
}

export interface Server {
  readonly url: string;
  /** The runtime's process now; it changes when the runtime crashes, because it is started again on the same port. */
  readonly workerdPid: number;
  /** Ends the runtime and resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends the runtime with SIGKILL at once, without starting it again. */
  kill(): Promise<void>;
}

interface Lock {
  /** Notes the runtime's process, so that whoever takes over an abandoned folder can end it first. */
  readonly note: (workerdPid: number) => void;
  readonly release: () => void;
}

function commandOf(pid: number): string {
  return spawnSync("ps", ["-o", "comm=", "-p", String(pid)], { encoding: "utf8" }).stdout?.trim() ?? "";
}

/** One writer per state folder: two runtimes on the same SQLite files would damage them. */
function lock(state: string): Lock {
  const path = join(state, "lock");
  if (existsSync(path)) {
    const [pid = 0, workerdPid = 0] = readFileSync(path, "utf8").split(" ").map(Number);
    if (pid !== process.pid && commandOf(pid).includes("node")) {
      throw new Error(`${state} is in use by process ${pid}. If that is not Kuvert, remove ${path}.`);
    }
    // A server that was killed leaves its runtime behind.
    if (pid !== process.pid && commandOf(workerdPid).includes("workerd")) process.kill(workerdPid, "SIGKILL");
  }
  writeFileSync(path, `${process.pid} 0`);
  const remove = (): void => rmSync(path, { force: true });
  process.once("exit", remove);
  return {
    note: (workerdPid) => writeFileSync(path, `${process.pid} ${workerdPid}`),
    release: () => {
      process.off("exit", remove);
      remove();
    },
  };
}

function tokenSecret(state: string): string {
  const path = join(state, "token-secret");
  try {
    writeFileSync(path, randomBytes(32).toString("base64url"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(path, "utf8");
}

/**
 * A neighbour of the Worker that applies the migrations when it is asked at `host`: Miniflare's own way to a database from out here starts a thread
 * and takes as long as the whole runtime.
 */
function besideDatabase(
  { d1Databases = {} }: V4WorkerOptions,
  { binding, migrations }: Configuration["directory"],
  host: string,
): V4WorkerOptions {
  return {
    name: "migrations",
    modules: [{ type: "ESModule", path: join(import.meta.dirname, "migrate.mjs") }],
    modulesRoot: import.meta.dirname,
    d1Databases,
    bindings: { BINDING: binding, MIGRATIONS: JSON.stringify(migrations) },
    routes: [`${host}/*`],
  };
}

/**
 * The local platform sends every request through two workers of its own before it reaches a Worker that has files. Ours answers first
 * anyway, so the files are put with a neighbour that only it asks: a socket then passes through half as much.
 */
function besideFiles({ assets, ...options }: V4WorkerOptions): V4WorkerOptions[] {
  if (assets?.binding === undefined) throw new Error("wrangler.toml binds no assets");
  const routerConfig = { ...assets.routerConfig, has_user_worker: false, invoke_user_worker_ahead_of_assets: false };
  const files: V4WorkerOptions = {
    name: FILES,
    ...(options.compatibilityDate !== undefined && { compatibilityDate: options.compatibilityDate }),
    modules: [{ type: "ESModule", path: "files.js", contents: "export default {}" }],
    assets: { ...assets, routerConfig, run_worker_first: false },
  };
  return [{ ...options, serviceBindings: { ...options.serviceBindings, [assets.binding]: FILES } }, files];
}

/** Remembers the runtime's process, which Miniflare does not tell. */
function watchRuntime() {
  let runtime: ChildProcess | undefined;
  const listener = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess };
    // The file name is known only after the spawn that this event announces.
    setImmediate(() => {
      if (child.spawnfile !== undefined && basename(child.spawnfile) === "workerd") runtime = child;
    });
  };
  subscribe("child_process", listener);
  return {
    get pid() {
      if (runtime?.pid === undefined) throw new Error("The runtime is not running");
      return runtime.pid;
    },
    kill: () => runtime?.kill("SIGKILL"),
    forget: () => unsubscribe("child_process", listener),
  };
}

/** A copy of what is built: a later build would take files away that pages and a restarted runtime still ask for. */
function copyOf(dist: string, state: string): string {
  const copy = join(state, "built");
  rmSync(copy, { recursive: true, force: true });
  for (const product of ["ui", "worker", "local"])
    cpSync(join(dist, product), join(copy, product), { recursive: true });
  return copy;
}

/** Serves a copy of dist/ (see build.ts) until stopped. Rejects when the port or the state folder is taken. */
export async function serve(options: ServeOptions): Promise<Server> {
  const {
    port,
    state,
    residency = "simulated",
    requestsPerMinute,
    sendsPerSecond,
    operatorSecret,
    quiet = false,
  } = options;
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const held = lock(state);
  const built = copyOf(options.dist ?? join(root, "dist"), state);
  const { worker, directory } = readConfiguration(join(built, "local"));
  const { bindings = {}, assets } = worker as { bindings?: Record<string, string>; assets?: object };
  if (requestsPerMinute === Number.POSITIVE_INFINITY) worker.ratelimits = {};
  else if (requestsPerMinute !== undefined) {
    for (const { simple } of Object.values(worker.ratelimits ?? {})) simple.limit = requestsPerMinute;
  }
  const sends = String(sendsPerSecond);
  const rate = sendsPerSecond === undefined ? {} : { SENDS_PER_SECOND: sends, SENDS_BURST: sends };
  const operator = operatorSecret === undefined ? {} : { OPERATOR_SECRET: operatorSecret };
  // Nobody else can guess it.
  const host = `${randomBytes(16).toString("hex")}.localhost`;
  const runtime = watchRuntime();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [
        ...besideFiles({
          ...worker,
          modules: [{ type: "ESModule", path: join(built, "worker/index.js") }],
          modulesRoot: join(built, "worker"),
          assets: { ...assets, directory: join(built, "ui") },
          bindings: { ...bindings, ...rate, ...operator, RESIDENCY: residency, TOKEN_SECRET: tokenSecret(state) },
        }),
        besideDatabase(worker, directory, host),
      ],
      host: port === 0 ? "127.0.0.1" : "localhost",
      port,
      cf: false,
      telemetry: { enabled: false },
      logRequests: false,
      log: new Log(quiet ? LogLevel.NONE : LogLevel.WARN),
      handleStructuredLogs: ({ level, message }) => {
        if (!quiet || level === "error") process.stderr.write(`${message}\n`);
      },
      unsafeHandleRuntimeRestart: () => {
        held.note(runtime.pid);
        options.onRestart?.(runtime.pid);
      },
      resourcePersistencePath: join(state, "data"),
    }),
  );
  const end = async (): Promise<void> => {
    try {
      await miniflare.dispose();
    } finally {
      runtime.forget();
      held.release();
    }
  };
  try {
    const ready = await miniflare.ready;
    held.note(runtime.pid);
    const migrated = await miniflare.dispatchFetch(`http://${host}/`);
    if (!migrated.ok) throw new Error(`The migrations failed with ${migrated.status}: ${await migrated.text()}`);
    return {
      url: port === 0 ? ready.origin : `http://localhost:${ready.port}`,
      get workerdPid() {
        return runtime.pid;
      },
      stop: end,
      kill: () => {
        runtime.kill();
        return end();
      },
    };
  } catch (error) {
    await end().catch(() => undefined);
    throw error;
  }
}
