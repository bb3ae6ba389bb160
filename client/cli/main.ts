// The `kuvert` command: ties the command line to this process (streams, signals, exit code) and to the engine on its SQLite store.

import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { isRefusal } from "../../schemas/refusal.ts";
import type { Engine } from "../engine/view.ts";
import { EXIT, Failure } from "./failure.ts";
import { run } from "./run.ts";

/** How long closing may take after a signal before the process ends anyway, in ms. Everything that matters is durable already. */
const GRACE = 3_000;

/** The engine is loaded only when a command needs it: help and mistakes are answered at once. */
async function openEngine(folder: string, server: string): Promise<Engine> {
  const [{ openMessenger }, { openSqliteStore }] = await Promise.all([
    import("../engine/messenger.ts"),
    import("./store-sqlite.ts"),
  ]);
  try {
    return await openMessenger({ store: await openSqliteStore(folder), server, kind: "terminal" });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (error.code !== "conflict") throw new Failure("profile_damaged", `${folder} cannot be opened`);
    throw new Failure("profile_locked", `another process is using ${folder}; end it or choose another --profile`);
  }
}

let typed: AsyncIterator<string> | undefined;

/** One line after the other, whether a person types them or a pipe brings them all at once. */
async function ask(question: string): Promise<string> {
  process.stderr.write(question);
  typed ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { value, done } = await typed.next();
  return done ? "" : value;
}

const ending = new AbortController();

function end(failure: Failure): void {
  if (ending.signal.aborted) return;
  ending.abort(failure);
  setTimeout(() => process.exit(failure.exit), GRACE).unref();
}

process.on("SIGINT", () => end(new Failure("interrupted", "interrupted")));
process.on("SIGTERM", () => end(new Failure("terminated", "terminated")));
// Whoever read our output has seen enough, as in `kuvert listen | head`
process.stdout.on("error", () => end(new Failure("output_closed", "nobody reads the output")));
process.stderr.on("error", () => undefined);

try {
  const code = await run({
    argv: process.argv.slice(2),
    env: process.env,
    out: process.stdout,
    err: process.stderr,
    now: Date.now,
    interrupted: ending.signal,
    readInput: () => text(process.stdin),
    ask,
    open: openEngine,
  });
  process.exit(code);
} catch (error) {
  console.error("kuvert: this is a bug:", error);
  process.exit(EXIT.refused);
}
