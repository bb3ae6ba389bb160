// Owns how often somebody may ask: the rate-limit bindings of wrangler.toml, by address before sign-in and by device after it.

import { LIMITS } from "../schemas/policy.ts";
import { Refusal } from "../schemas/refusal.ts";
import type { Env } from "./env.ts";
import { residencyMode } from "./residency.ts";

type Limit = "SIGNUP_LIMIT" | "INVITE_LIMIT" | "SIGN_IN_LIMIT" | "API_LIMIT";

/** The bindings count per minute and do not say when there is room again. */
const RETRY_AFTER = 60_000;

/**
 * Counts one request of `key`. Without its binding a deployment refuses everything, a simulated one nothing.
 * @throws {Refusal} rate_limited — too many; unavailable — the binding is missing
 */
export async function countRequest(env: Env, limit: Limit, key: string): Promise<void> {
  const binding = env[limit];
  if (binding === undefined) {
    if (residencyMode(env) === "simulated") return;
    throw new Refusal("unavailable");
  }
  const { success } = await binding.limit({ key });
  if (!success) throw new Refusal("rate_limited", { retryAfter: RETRY_AFTER });
}

/** The caller's address as the platform tells it; an IPv6 address counts by its /64, which is what one customer gets. */
export function addressOf(request: Request): string {
  const address = request.headers.get("cf-connecting-ip") ?? "local";
  return address.includes(":") ? address.split(":").slice(0, 4).join(":") : address;
}

/**
 * The body of a request, read no further than allowed.
 * @throws {Refusal} too_large — there is more than `limit` bytes
 */
export async function readCapped(request: Request, limit: number = LIMITS.bodyBytes): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw new Refusal("too_large");
  const body = new Uint8Array(limit);
  let length = 0;
  for await (const chunk of request.body ?? []) {
    if (length + chunk.length > body.length) throw new Refusal("too_large");
    body.set(chunk, length);
    length += chunk.length;
  }
  return body.subarray(0, length);
}
