// Owns the grammar of the command line: which words are a command, an argument or an option, and the help that explains them.
// Runs nothing.

import { parseArgs } from "node:util";
import { devices, invite, join, members, revoke, signup } from "./account-commands.ts";
import { type Command, OPTIONS, type OptionName, type ServerCommand } from "./command.ts";
import { policy, removeMember, role } from "./company-commands.ts";
import {
  add,
  conversations,
  create,
  expire,
  leave,
  mute,
  pin,
  remove,
  unmute,
  unpin,
} from "./conversation-commands.ts";
import { backup, link, recover, recovery, release, renameDevice } from "./device-commands.ts";
import { parseDuration } from "./duration.ts";
import { Failure } from "./failure.ts";
import { accept, auditKeys, verify } from "./key-commands.ts";
import { history, listen, send } from "./message-commands.ts";
import { operator } from "./operator-command.ts";

/** Every command, in the order the help lists them. */
export const COMMANDS = {
  signup,
  invite,
  join,
  members,
  role,
  "remove-member": removeMember,
  policy,
  conversations,
  create,
  add,
  remove,
  leave,
  send,
  history,
  listen,
  expire,
  pin,
  unpin,
  mute,
  unmute,
  devices,
  link,
  "rename-device": renameDevice,
  release,
  revoke,
  verify,
  accept,
  "audit-keys": auditKeys,
  recovery,
  backup,
  recover,
  operator,
} as const satisfies Record<string, Command | ServerCommand>;
export type CommandName = keyof typeof COMMANDS;

interface GlobalOptions {
  readonly profile: string | undefined;
  readonly server: string | undefined;
  readonly json: boolean;
  /** In ms. */
  readonly timeout: number;
}

/** What a command line asks for. */
export type Invocation =
  | { readonly kind: "help"; readonly command: CommandName | null }
  | { readonly kind: "version" }
  | {
      readonly kind: "run";
      readonly name: CommandName;
      readonly command: Command | ServerCommand;
      readonly args: readonly string[];
      readonly options: Readonly<Partial<Record<OptionName, string>>>;
      readonly global: GlobalOptions;
    };

const ID = /^-[A-Za-z0-9_-]{20}[AQgw]$/;
const DEFAULT_TIMEOUT = "15s";
const string = { type: "string" } as const;
const boolean = { type: "boolean" } as const;
const GLOBAL = {
  profile: string,
  server: string,
  json: boolean,
  timeout: string,
  help: { type: "boolean", short: "h" },
  version: boolean,
} as const;
const commandOptions = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, string]));

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

// An id may begin with a dash; marked, it is not taken for an option
const MARK = "\u0000";
const mark = (word: string): string => (ID.test(word) ? MARK + word : word);
const unmark = (word: string): string => (word.startsWith(MARK) ? word.slice(MARK.length) : word);

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: argv.map(mark),
      options: { ...commandOptions, ...GLOBAL },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    const { message } = error as Error;
    throw new Failure("usage", message.replace(/\. To specify a positional argument.*$/s, "").toLowerCase());
  }
}

/**
 * Reads a command line (without program and script).
 * @throws {Failure} usage — when it is none this program knows
 */
export function parseCommandLine(argv: readonly string[]): Invocation {
  const { values, positionals } = parse(argv);
  const [name, ...args] = positionals.map(unmark);
  if (values.version === true) return { kind: "version" };
  if (name === undefined || name === "help") return { kind: "help", command: args.find(isCommand) ?? null };
  if (!isCommand(name)) throw new Failure("usage", `there is no command "${name}"; see kuvert --help`);
  if (values.help === true) return { kind: "help", command: name };
  const command: Command | ServerCommand = COMMANDS[name];
  const options: Partial<Record<OptionName, string>> = {};
  for (const option of Object.keys(OPTIONS) as OptionName[]) {
    const value = (values as Record<string, unknown>)[option];
    if (typeof value !== "string") continue;
    if (!command.options.includes(option)) throw new Failure("usage", `${name} has no option --${option}`);
    options[option] = unmark(value);
  }
  check(name, command, args, options);
  const { profile, server, json = false, timeout = DEFAULT_TIMEOUT } = values;
  return {
    kind: "run",
    name,
    command,
    args,
    options,
    global: { profile, server, json, timeout: parseDuration(timeout) },
  };
}

function check(
  name: CommandName,
  command: Command | ServerCommand,
  args: readonly string[],
  options: Partial<Record<OptionName, string>>,
): void {
  const [least, most] = command.arity;
  if (args.length < least || args.length > most)
    throw new Failure("usage", `write: kuvert ${name} ${command.usage}`.trimEnd());
  for (const option of command.required ?? []) {
    if (options[option] === undefined) throw new Failure("usage", `${name} needs --${option} ${OPTIONS[option]}`);
  }
}

const GLOBAL_HELP = `Options of every command:
  --profile DIR       where keys and messages are kept (~/.kuvert/default or $KUVERT_PROFILE)
  --server URL        the server (http://localhost:8787 or $KUVERT_SERVER); a profile with an account remembers its own
  --json              one JSON object a line instead of text
  --timeout DURATION  how long to wait for the server (${DEFAULT_TIMEOUT})
  --help, --version`;

const OVERVIEW_END = `MEMBER and CONVERSATION are an id, a name or title, or the beginning of an id. A direct conversation is called
like the other person. A DURATION is 10s, 5m, 2h, 7d or 4w. A text that begins with - goes after --.

Exit codes: 0 done · 1 refused, the code is printed · 2 not understood · 3 server not reachable or too slow ·
130 interrupted. Errors go to standard error only.`;

/** The help for everything, or for one command. */
export function help(name: CommandName | null): string {
  if (name !== null) {
    const { usage, summary, details }: Command | ServerCommand = COMMANDS[name];
    const explanation = details.length > 0 ? `${details.map((line) => `  ${line}`).join("\n")}\n\n` : "";
    return (
      `kuvert ${name} ${usage}`.trimEnd() +
      `\n\n  ${summary}.\n${explanation === "" ? "\n" : explanation}${GLOBAL_HELP}\n`
    );
  }
  const longest = Math.max(...Object.keys(COMMANDS).map((command) => command.length));
  const list = Object.entries(COMMANDS).map(([command, { summary }]) => `  ${command.padEnd(longest)}  ${summary}`);
  return `kuvert — end-to-end encrypted messages for organisations

Usage: kuvert COMMAND [ARGUMENTS] [OPTIONS]

${list.join("\n")}

  kuvert COMMAND --help explains one command.

${GLOBAL_HELP}

${OVERVIEW_END}
`;
}
