// Owns what the Worker and its objects run with: the bindings of wrangler.toml, by name.

import type { ConversationObject } from "./conversation/object.ts";
import type { HeraldObject } from "./herald/object.ts";
import type { KeyLogObject } from "./key-log/object.ts";
import type { MailboxObject } from "./mailbox/object.ts";

export interface Env {
  readonly ASSETS: Fetcher;
  readonly CONVERSATIONS: DurableObjectNamespace<ConversationObject>;
  readonly MAILBOXES: DurableObjectNamespace<MailboxObject>;
  readonly KEY_LOGS: DurableObjectNamespace<KeyLogObject>;
  readonly HERALDS: DurableObjectNamespace<HeraldObject>;
  readonly DIRECTORY: D1Database;
  readonly VAULT: R2Bucket;
  readonly SIGNUP_LIMIT?: RateLimit;
  readonly INVITE_LIMIT?: RateLimit;
  readonly SIGN_IN_LIMIT?: RateLimit;
  readonly API_LIMIT?: RateLimit;
  /** `platform` (also when unset or unknown) or `simulated`. */
  readonly RESIDENCY?: string;
  /** Secrets that sign tokens, newest first, separated by spaces, each of 32 characters or more: the first signs, every one verifies. */
  readonly TOKEN_SECRET: string;
  /** Opens the operator's routes, 32 characters or more; without it there are none. */
  readonly OPERATOR_SECRET?: string;
  /** How many sends a second a conversation takes from one device, and how many at once. */
  readonly SENDS_PER_SECOND?: string;
  readonly SENDS_BURST?: string;
}
