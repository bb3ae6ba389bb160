// Owns the life of one command: profile and engine are opened, the command runs until done or interrupted, everything is closed,
// and the end becomes an exit code. Everything of the process it touches is handed in.

import { readFileSync } from "node:fs";
import type { Engine, Snapshot } from "../engine/view.ts";
import type { Command, Printer, ServerContext } from "./command.ts";
import { help, type Invocation, parseCommandLine } from "./command-line.ts";
import { EXIT, Failure, failureLine, toFailure } from "./failure.ts";
import { faultSentence, findingSentence, outsideSentence } from "./findings.ts";
import { chooseServer, forgetServer, makeFolder, profileFolder, rememberedServer, rememberServer } from "./profile.ts";
import { paintFor } from "./terminal.ts";

/** The process as a command sees it. */
export interface World {
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string | undefined };
  readonly out: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly err: { write(text: string): unknown };
  readonly now: () => number;
  /** Fires with a {@link Failure} as its reason when the process is asked to end. */
  readonly interrupted: AbortSignal;
  readInput(): Promise<string>;
  /** Asks on standard error for one line of standard input; the empty line when there is none. */
  ask(question: string): Promise<string>;
  /**
   * Opens the engine of a profile.
   * @throws {Failure} profile_locked — another process has it open
   */
  open(folder: string, server: string): Promise<Engine>;
}

function printerFor({ out, env }: World, json: boolean): Printer {
  return {
    json: (value) => {
      if (json) out.write(`${JSON.stringify(value)}\n`);
    },
    lines: (...lines) => {
      if (!json && lines.length > 0) out.write(`${lines.join("\n")}\n`);
    },
    paint: paintFor(out, env),
  };
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return `kuvert ${version}\n`;
}

function whenInterrupted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

async function phaseOf(engine: Engine): Promise<"fresh" | "ready" | "ended"> {
  return new Promise((resolve) => {
    const look = (): void => {
      const { phase, linking } = engine.snapshot();
      // A history that is on its way to this device comes first
      if (phase === "loading" || linking?.kind === "arriving") return;
      off();
      resolve(phase);
    };
    const off = engine.on(look);
    look();
  });
}

type Running = Invocation & { readonly kind: "run" };

function contextOf(world: World, { args, options, global }: Running, server: string): ServerContext {
  const { env, interrupted, now, readInput, ask } = world;
  const print = printerFor(world, global.json);
  return { print, args, options, timeout: global.timeout, server, env, interrupted, now, readInput, ask };
}

async function perform(world: World, invocation: Running): Promise<void> {
  const { command, global } = invocation;
  if (command.profile !== "none") return performAs(world, invocation, command);
  const server = chooseServer({ asked: global.server, remembered: undefined, link: undefined, env: world.env });
  await Promise.race([command.run(contextOf(world, invocation, server)), whenInterrupted(world.interrupted)]);
}

async function performAs(world: World, invocation: Running, command: Command): Promise<void> {
  const { name, args, global } = invocation;
  const folder = profileFolder(global.profile, world.env);
  makeFolder(folder);
  const server = chooseServer({
    asked: global.server,
    remembered: rememberedServer(folder),
    link: name === "join" || name === "link" ? args[0] : undefined,
    env: world.env,
  });
  const engine = await world.open(folder, server);
  try {
    const fresh = (await phaseOf(engine)) === "fresh";
    const needed = typeof command.profile === "function" ? command.profile(args) : command.profile;
    if (fresh && needed === "account") {
      throw new Failure("no_account", `there is no account in ${folder}; use kuvert signup or kuvert join`);
    }
    if (!fresh && needed === "fresh") {
      throw new Failure("account_exists", `${folder} has an account already; choose another folder with --profile`);
    }
    // Before the first word to the server: should its answer be lost, the account may exist there all the same
    if (fresh) rememberServer(folder, server);
    await Promise.race([
      command.run({ ...contextOf(world, invocation, server), engine }),
      whenInterrupted(world.interrupted),
    ]);
  } catch (error) {
    if (engine.snapshot().phase === "fresh" && toFailure(error)?.exit === EXIT.refused) forgetServer(folder);
    throw error;
  } finally {
    warn(world, engine.snapshot());
    await engine.close();
  }
}

/** Whatever the command was: a person must hear of this. */
function warn({ err }: World, snapshot: Snapshot): void {
  for (const finding of snapshot.findings) err.write(`kuvert: attention: ${findingSentence(snapshot, finding)}\n`);
  for (const view of snapshot.conversations) {
    if (view.fault !== null) err.write(`kuvert: attention: ${faultSentence(snapshot, view, view.fault)}\n`);
    if (view.held?.reason === "outside") err.write(`kuvert: attention: ${outsideSentence(snapshot, view)}\n`);
  }
}

/** Runs a command line to its end and returns the exit code. Only a bug makes it reject. */
export async function run(world: World): Promise<number> {
  try {
    const invocation = parseCommandLine(world.argv);
    if (invocation.kind === "help") world.out.write(help(invocation.command));
    else if (invocation.kind === "version") world.out.write(version());
    else await perform(world, invocation);
    return EXIT.ok;
  } catch (error) {
    const failure = toFailure(error);
    if (failure === undefined) throw error;
    world.err.write(failureLine(failure));
    return failure.exit;
  }
}
