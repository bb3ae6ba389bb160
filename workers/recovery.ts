// Owns who may recover: challenges for recovery phrases, the signature that answers one, and the narrow token that a phrase or a passkey
// beside it earns. Knows no route.

import type { MiddlewareHandler } from "hono";
import * as v from "valibot";
import { randomBytes, toBase64url } from "../schemas/bytes.ts";
import { GrantId, newId, PasskeyId, RecoveryId } from "../schemas/ids.ts";
import { recoveryPayload } from "../schemas/recovery.ts";
import { Refusal } from "../schemas/refusal.ts";
import { sign, verify, verifySignature } from "./auth.ts";
import { type OpenedRecovery, openRecovery } from "./directory/recoveries.ts";
import type { Env } from "./env.ts";
import { countRequest } from "./limits.ts";

const CHALLENGE = "recovery challenge";
const ACCESS = "recovery";
const CHALLENGE_LIFE = 60_000;
const ACCESS_LIFE = 10 * 60_000;

/** What a recovery token says: by which phrase or passkey beside it, and under which permission it lets one device in. */
const Claims = v.object({ lookup: RecoveryId, passkey: v.optional(PasskeyId), grant: GrantId });

/** What routes behind {@link recovering} see. */
export interface RecoveryApp {
  Bindings: Env;
  Variables: { recovery: OpenedRecovery & { readonly grant: GrantId } };
}

/** A challenge for a recovery key to sign. Nothing is stored, and nothing says whether there is such a phrase. */
export async function issueRecoveryChallenge(env: Env, lookup: RecoveryId) {
  const claims = { lookup, nonce: toBase64url(randomBytes(16)) };
  const { token, expiresAt } = await sign(env, { audience: CHALLENGE, life: CHALLENGE_LIFE, claims, now: Date.now() });
  return { challenge: token, expiresAt };
}

/**
 * Whose phrase answered the challenge, and a token for it. A wrong signature and an unknown phrase are answered alike, after the same work.
 * @throws {Refusal} not_found; unauthenticated, token_expired — the challenge is not ours or too old; device_revoked — the member was
 * removed; tenant_suspended; rate_limited; unavailable
 */
export async function issueRecoveryToken(
  env: Env,
  { challenge, signature }: { readonly challenge: string; readonly signature: string },
) {
  const parsed = v.safeParse(v.object({ lookup: RecoveryId }), await verify(env, challenge, CHALLENGE));
  if (!parsed.success) throw new Refusal("unauthenticated");
  const { lookup } = parsed.output;
  await countRequest(env, "SIGN_IN_LIMIT", `recovery ${lookup}`);
  const opened = await openRecovery(env.DIRECTORY, { lookup });
  const signed = await verifySignature(opened?.publicKey ?? NOBODY, signature, recoveryPayload(challenge));
  if (opened === undefined || !signed) throw new Refusal("not_found");
  return issueTo(env, opened, {});
}

/**
 * A token for whoever has proven to hold a passkey that stands beside this phrase, and whose it is.
 * @throws {Refusal} not_found — it does not, any more; tenant_suspended; unavailable
 */
export async function issueAccess(
  env: Env,
  { lookup, passkey }: { readonly lookup: RecoveryId; readonly passkey: PasskeyId },
) {
  const opened = await openRecovery(env.DIRECTORY, { lookup, passkey });
  if (opened === undefined) throw new Refusal("not_found");
  return issueTo(env, opened, { passkey });
}

async function issueTo(env: Env, opened: OpenedRecovery, by: { readonly passkey?: PasskeyId }) {
  assertOpen(opened);
  const claims = { ...by, lookup: opened.lookup, grant: newId<GrantId>() };
  const now = Date.now();
  const { token, expiresAt } = await sign(env, { audience: ACCESS, life: ACCESS_LIFE, claims, now });
  return { opened, token, expiresAt, now };
}

/** Any well-formed public key: refusing an unknown phrase takes the same work as refusing a wrong signature. */
const NOBODY = "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY";

/**
 * Lets a request through whose token was earned by a phrase or passkey that is still enrolled, for a member in good standing, at this moment.
 * @throws {Refusal} unauthenticated, token_expired, device_revoked, tenant_suspended, rate_limited, unavailable
 */
export const recovering: MiddlewareHandler<RecoveryApp> = async (c, next) => {
  const [, token] = /^Bearer ([\w.-]+)$/.exec(c.req.header("authorization") ?? "") ?? [];
  if (token === undefined) throw new Refusal("unauthenticated");
  const claims = v.safeParse(Claims, await verify(c.env, token, ACCESS));
  if (!claims.success) throw new Refusal("unauthenticated");
  const { lookup, passkey, grant } = claims.output;
  await countRequest(c.env, "API_LIMIT", lookup);
  const opened = await openRecovery(c.env.DIRECTORY, { lookup, ...(passkey !== undefined && { passkey }) });
  if (opened === undefined) throw new Refusal("unauthenticated");
  assertOpen(opened);
  c.set("recovery", { ...opened, grant });
  await next();
};

function assertOpen({ removed, suspended }: OpenedRecovery): void {
  if (removed) throw new Refusal("device_revoked");
  if (suspended) throw new Refusal("tenant_suspended");
}
