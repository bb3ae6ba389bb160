// Owns who may come back by a passkey: challenges, the answer that enters one, and the answer that earns what a phrase would. Knows no route.

import * as v from "valibot";
import type { PasskeyBody, PasskeySignInBody } from "../schemas/api.ts";
import { randomBytes, toBase64url } from "../schemas/bytes.ts";
import { MemberId, TenantId } from "../schemas/ids.ts";
import { passkeyUser, toPasskeyChallenge } from "../schemas/passkey.ts";
import { Refusal } from "../schemas/refusal.ts";
import { sign, verify } from "./auth.ts";
import { findPasskey, insertPasskey, usePasskey } from "./directory/passkeys.ts";
import type { Env } from "./env.ts";
import { countRequest } from "./limits.ts";
import { issueAccess } from "./recovery.ts";
import { readChallenge, verifyAssertion, verifyRegistration } from "./webauthn.ts";

const REGISTRATION = "passkey registration";
const SIGN_IN = "passkey sign-in";
// As long as WebAuthn gives a person (§15.1): to find the telephone, to scan a code with it. A sign-in's is good once all the same
const LIFE = 5 * 60_000;

interface Owner {
  readonly tenant: TenantId;
  readonly member: MemberId;
}

/** A challenge for a new passkey of this member. Nothing is stored. */
export function issueRegistrationChallenge(env: Env, { tenant, member }: Owner) {
  return issue(env, REGISTRATION, { tenant, member });
}

/** A challenge for any passkey. Nothing is stored. */
export function issuePasskeyChallenge(env: Env) {
  return issue(env, SIGN_IN, {});
}

/**
 * Enters a passkey that was made for this member, at this origin. May be repeated.
 * @throws {Refusal} origin_forbidden; unauthenticated, token_expired — the challenge is not ours or too old; forbidden — it is another
 * member's, or what was signed does not hold; conflict — the passkey is somebody else's; quota — too many; not_found — the phrase was replaced;
 * unavailable
 */
export async function enterPasskey(
  env: Env,
  { tenant, member }: Owner,
  { body, origin }: { readonly body: v.InferOutput<typeof PasskeyBody>; readonly origin: string },
): Promise<void> {
  const challenge = readChallenge(body.clientData, origin);
  const asked = v.safeParse(
    v.object({ tenant: TenantId, member: MemberId }),
    await verify(env, challenge, REGISTRATION),
  );
  if (!asked.success) throw new Refusal("unauthenticated");
  if (asked.output.tenant !== tenant || asked.output.member !== member) throw new Refusal("forbidden");
  const signed = { answer: body, challenge: toPasskeyChallenge(challenge), origin };
  const key = await verifyRegistration(signed);
  if (key === undefined) throw new Refusal("forbidden");
  const { id, name, lookup, credential, box } = body;
  const passkey = { id, name, lookup, credential, box, member, ...key, now: Date.now() };
  const outcome = await insertPasskey(tenant, env.DIRECTORY, passkey);
  if (outcome === "taken") throw new Refusal("conflict");
  if (outcome === "full") throw new Refusal("quota");
  if (outcome === "unphrased") throw new Refusal("not_found");
}

/**
 * Whose passkey answered the challenge, its box, and a token as its phrase would earn. An unknown passkey and an answer that does not hold
 * are refused alike, after the same work.
 * @throws {Refusal} not_found; origin_forbidden; unauthenticated — the challenge is not ours or was answered before; token_expired;
 * tenant_suspended; rate_limited; unavailable
 */
export async function issuePasskeyToken(
  env: Env,
  { body, origin }: { readonly body: v.InferOutput<typeof PasskeySignInBody>; readonly origin: string },
) {
  const challenge = readChallenge(body.clientData, origin);
  const asked = v.safeParse(v.object({ askedAt: v.number() }), await verify(env, challenge, SIGN_IN));
  if (!asked.success) throw new Refusal("unauthenticated");
  await countRequest(env, "SIGN_IN_LIMIT", `passkey ${body.credential}`);
  const found = await findPasskey(env.DIRECTORY, body.credential);
  const signed = { answer: body, challenge: toPasskeyChallenge(challenge), origin };
  const newCounter = await verifyAssertion({ ...signed, key: found ?? NOBODY });
  if (found === undefined || newCounter === undefined || body.user !== passkeyUser(found)) {
    throw new Refusal("not_found");
  }
  const access = await issueAccess(env, { lookup: found.lookup, passkey: found.id });
  if (!(await usePasskey(env.DIRECTORY, found, { askedAt: asked.output.askedAt, newCounter }))) {
    throw new Refusal("unauthenticated");
  }
  return { ...access, box: found.box };
}

/** Any public key, of the kind most passkeys have (ES256): refusing an unknown one takes the same work as refusing a wrong answer. */
const NOBODY = {
  publicKey: "pQECAyYgASFYIGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
  counter: 0,
};

async function issue(env: Env, audience: string, who: Owner | Record<never, never>) {
  const now = Date.now();
  // A token counts in whole seconds, and two challenges of one second must be told apart
  const claims = { ...who, askedAt: now, nonce: toBase64url(randomBytes(16)) };
  const { token, expiresAt } = await sign(env, { audience, life: LIFE, claims, now });
  return { challenge: token, expiresAt };
}
