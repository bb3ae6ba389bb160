// Owns the shape of a command and what it is given to work with. Knows no particular command.

import type { Engine } from "../engine/view.ts";
import type { Paint } from "./terminal.ts";

/** Options a command can have beside the global ones; each has the same meaning wherever it appears. */
export const OPTIONS = {
  organisation: "NAME",
  name: "NAME",
  device: "NAME",
  residency: "eu|global",
  role: "member|admin",
  uses: "N",
  for: "MEMBER",
  valid: "DURATION",
  title: "TITLE",
  expires: "DURATION",
  limit: "N",
  retention: "DURATION",
  shortest: "DURATION",
  longest: "DURATION",
  default: "DURATION|off",
} as const;
export type OptionName = keyof typeof OPTIONS;

/** What one line of output says: an object for `--json`, and lines for a person. */
export interface Printer {
  /** One JSON object a line. Ignored unless `--json`. */
  json(value: object): void;
  /** Lines for a person. Ignored with `--json`. */
  lines(...lines: readonly string[]): void;
  readonly paint: Paint;
}

/** What a command works with that has no profile. */
export interface ServerContext {
  readonly print: Printer;
  /** Positional arguments after the command's name; their number has been checked. */
  readonly args: readonly string[];
  readonly options: Readonly<Partial<Record<OptionName, string>>>;
  /** How long to wait for the server, in ms. */
  readonly timeout: number;
  /** Address the engine talks to, for messages. */
  readonly server: string;
  /** Fires when the person interrupts. */
  readonly interrupted: AbortSignal;
  readonly now: () => number;
  /** The process's environment. */
  readonly env: { readonly [name: string]: string | undefined };
  /** All of standard input as text. */
  readInput(): Promise<string>;
  /** Asks a person for one line. */
  ask(question: string): Promise<string>;
}

/** What a running command works with. */
export interface Context extends ServerContext {
  readonly engine: Engine;
}

/** A profile with an account, or an empty one. */
type ProfileKind = "account" | "fresh";

interface Described {
  /** Arguments and options as the help shows them. */
  readonly usage: string;
  readonly summary: string;
  /** More lines of help. */
  readonly details: readonly string[];
  /** Least and greatest number of positional arguments. */
  readonly arity: readonly [number, number];
  readonly options: readonly OptionName[];
  readonly required?: readonly OptionName[];
}

export interface Command extends Described {
  /** Which profile it needs, whatever its arguments or given them. */
  readonly profile: ProfileKind | ((args: readonly string[]) => ProfileKind);
  run(context: Context): Promise<void>;
}

/** A command that asks a server without being anybody there. */
export interface ServerCommand extends Described {
  readonly profile: "none";
  run(context: ServerContext): Promise<void>;
}
