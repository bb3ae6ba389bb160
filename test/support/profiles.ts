// Profiles as real people have them: a folder with keys and messages, used by the `kuvert` command as a process of its own or by an
// engine in this process.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { openMessenger } from "../../client/engine/messenger.ts";
import type { Engine } from "../../client/engine/view.ts";

/** As the installed program sets it. */
const NODE_COMPILE_CACHE = join(import.meta.dirname, "../../node_modules/.cache/node");
const MAIN = join(import.meta.dirname, "../../client/cli/main.ts");

/** How a command ended. */
export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** The lines of `out`, parsed; for `--json`. */
  readonly objects: readonly Record<string, unknown>[];
}

/** Folders for the profiles of one test. */
export class Profiles {
  readonly folder = mkdtempSync(join(tmpdir(), "kuvert-profiles-"));
  readonly #engines = new Set<Engine>();
  readonly #running = new Set<ChildProcess>();

  /** The folder of one profile; an absolute path is one already. */
  of(name: string): string {
    return resolve(this.folder, name);
  }

  /** Opens an engine on a profile in this process. */
  async open(name: string, server: string): Promise<Engine> {
    const engine = await openMessenger({ store: await openSqliteStore(this.of(name)), server });
    this.#engines.add(engine);
    return engine;
  }

  /** Closes one engine. */
  async close(engine: Engine): Promise<void> {
    this.#engines.delete(engine);
    await engine.close();
  }

  /** Starts a `kuvert` process on a profile and hands it over while it runs. */
  spawn(name: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", MAIN, "--profile", this.of(name), ...args],
      {
        env: { NODE_COMPILE_CACHE, ...process.env, ...env },
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    return child;
  }

  /** Runs a `kuvert` command on a profile to its end. */
  async kuvert(name: string, args: readonly string[], input = ""): Promise<Outcome> {
    const child = this.spawn(name, args);
    child.stdin?.end(input);
    return outcome(child);
  }

  /** Runs a command that must succeed and returns what it printed as objects. */
  async objects(name: string, args: readonly string[], input = ""): Promise<readonly Record<string, unknown>[]> {
    const { code, err, objects } = await this.kuvert(name, [...args, "--json"], input);
    if (code !== 0) throw new Error(`kuvert ${args.join(" ")} ended with ${code}: ${err}`);
    return objects;
  }

  /** Closes every engine, kills every process that still runs, and deletes every profile. */
  async dispose(): Promise<void> {
    const ends = [...this.#running].map((child) => once(child, "exit"));
    for (const child of this.#running) child.kill("SIGKILL");
    await Promise.all([...ends, ...[...this.#engines].map((engine) => this.close(engine))]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits for a `kuvert` process to end. */
export async function outcome(child: ChildProcess): Promise<Outcome> {
  if (child.stdout === null || child.stderr === null) throw new Error("no streams");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const lines = out.split("\n").filter((line) => line.startsWith("{"));
  return { code: child.exitCode, out, err, objects: lines.map((line) => JSON.parse(line)) };
}
