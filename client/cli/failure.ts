// Owns how the command line fails: exit codes, sentences for refusal codes, and the one line on standard error. Knows no command.

import { isRefusal, type RefusalCode } from "../../schemas/refusal.ts";
import { printable } from "./terminal.ts";

/** Exit codes, documented by `kuvert --help`. */
export const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3, interrupted: 130, terminated: 143 } as const;

/** Failures that never reach a server. */
type LocalCode =
  | "usage"
  | "ambiguous"
  | "unknown"
  | "no_account"
  | "account_exists"
  | "profile_locked"
  | "profile_damaged"
  | "unreachable"
  | "timeout"
  | "output_closed"
  | "called_off"
  | "no_words"
  | "wrong_words"
  | "words_confirmed"
  | "words_elsewhere"
  | "mismatch"
  | "key_changed"
  | "key_log"
  | "interrupted"
  | "terminated";

/** An expected end of a command other than success: what to say, the code to print, the process's exit code. */
export class Failure extends Error {
  readonly code: LocalCode | RefusalCode;
  readonly exit: number;

  constructor(code: LocalCode | RefusalCode, message: string) {
    super(message);
    this.name = "Failure";
    this.code = code;
    this.exit = exitOf(code);
  }
}

function exitOf(code: LocalCode | RefusalCode): number {
  switch (code) {
    case "usage":
      return EXIT.usage;
    case "output_closed":
      return EXIT.ok;
    case "unreachable":
    case "timeout":
    case "unavailable":
      return EXIT.unreachable;
    case "interrupted":
      return EXIT.interrupted;
    case "terminated":
      return EXIT.terminated;
    default:
      return EXIT.refused;
  }
}

const SENTENCES = {
  malformed: "the server could not read the request",
  too_large: "that is too large",
  unauthenticated: "the server does not know this device",
  token_expired: "the sign-in has expired",
  origin_forbidden: "the server does not accept requests from here",
  forbidden: "you may not do that",
  device_revoked: "this device has been revoked",
  tenant_suspended: "this organisation is suspended",
  not_found: "there is no such thing here",
  conflict: "something else already has this place",
  stale_epoch: "the conversation has moved on; try again",
  stale_generation: "the conversation was set up anew; try again",
  removal_pending: "somebody was just removed; try again in a moment",
  commit_forbidden: "this change is not allowed in this conversation",
  expiry_out_of_policy: "your organisation does not allow this timer",
  invite_expired: "this invite has expired",
  invite_used_up: "this invite is used up",
  invite_revoked: "this invite was revoked",
  rate_limited: "too many requests; wait a minute and try again",
  quota: "the server has no room left for this",
  version_unsupported: "this client is too old for the server; update it",
  wrong_residency: "the server refuses to keep this data in the wrong region",
  unavailable: "the server cannot be reached",
  internal: "the server made a mistake",
} as const satisfies Record<RefusalCode, string>;

/** Turns a refusal's code into a failure with an English sentence. */
export function refused(code: RefusalCode): Failure {
  return new Failure(code, SENTENCES[code]);
}

/** Turns whatever was thrown into a failure; `undefined` when it is a bug rather than an expected no. */
export function toFailure(error: unknown): Failure | undefined {
  if (error instanceof Failure) return error;
  if (isRefusal(error)) return refused(error.code);
  if (error instanceof TypeError && error.cause !== undefined) return new Failure("unreachable", SENTENCES.unavailable);
  return undefined;
}

/** What a failure prints: one line, or nothing when somebody wanted the end. */
export function failureLine(failure: Failure): string {
  if (["interrupted", "terminated", "output_closed"].includes(failure.code)) return "";
  return `kuvert: ${printable(failure.message)} (${failure.code})\n`;
}
