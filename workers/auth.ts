// Owns who is asking: access tokens and challenges (jose), the signatures of devices, and the middleware that lets a signed-in
// device through. Knows no route.

import type { MiddlewareHandler } from "hono";
import { errors, type JWTPayload, jwtVerify, SignJWT } from "jose";
import * as v from "valibot";
import type { TokenAnswer } from "../schemas/api.ts";
import { fromBase64url, randomBytes, toBase64url, utf8 } from "../schemas/bytes.ts";
import { DeviceId, TenantId } from "../schemas/ids.ts";
import { Refusal } from "../schemas/refusal.ts";
import { Claims } from "./claims.ts";
import { findStanding, type Standing } from "./directory/devices.ts";
import type { Env } from "./env.ts";
import { countRequest } from "./limits.ts";

/** How long an access token is good for, in ms. */
export const TOKEN_LIFE = 10 * 60_000;
const CHALLENGE_LIFE = 60_000;
const ISSUER = "kuvert";
const ACCESS = "kuvert";
const CHALLENGE = "challenge";
const MIN_SECRET = 32;

/** What every route sees: the bindings, and behind {@link signedIn} who is asking. */
export interface App {
  Bindings: Env;
  Variables: { caller: Caller };
}

/** A signed-in device, as D1 knows it at this moment. */
export type Caller = Claims;

/** Gives a device an access token that says how it stands now. Times in ms. */
export async function issueToken(
  env: Env,
  { tenant, device, standing }: { readonly tenant: TenantId; readonly device: DeviceId; readonly standing: Standing },
): Promise<v.InferOutput<typeof TokenAnswer>> {
  const { member, role, residency, policy, revision } = standing;
  const now = Date.now();
  const claims = { tenant, member, device, role, residency, policy, revision };
  const { token, expiresAt } = await sign(env, { audience: ACCESS, life: TOKEN_LIFE, claims, now });
  return { token, expiresAt, now };
}

/** A challenge for a device to sign. Nothing is stored, and nothing says whether there is such a device. */
export async function issueChallenge(
  env: Env,
  claims: { readonly tenant: TenantId; readonly device: DeviceId },
): Promise<{ readonly challenge: string; readonly expiresAt: number }> {
  const nonce = toBase64url(randomBytes(16));
  const life = { audience: CHALLENGE, life: CHALLENGE_LIFE, now: Date.now() };
  const { token, expiresAt } = await sign(env, { ...life, claims: { ...claims, nonce } });
  return { challenge: token, expiresAt };
}

/** What an access token says. @throws {Refusal} unauthenticated — not ours; token_expired — was ours */
export async function verifyToken(env: Env, token: string): Promise<Claims> {
  const payload = await verify(env, token, ACCESS);
  const claims = v.safeParse(Claims, { ...payload, expiresAt: (payload.exp ?? 0) * 1_000 });
  if (!claims.success) throw new Refusal("unauthenticated");
  return claims.output;
}

/** Whom a challenge was made for. @throws {Refusal} unauthenticated — not ours; token_expired — older than a minute */
export async function verifyChallenge(
  env: Env,
  challenge: string,
): Promise<{ readonly tenant: TenantId; readonly device: DeviceId }> {
  const claims = v.safeParse(v.object({ tenant: TenantId, device: DeviceId }), await verify(env, challenge, CHALLENGE));
  if (!claims.success) throw new Refusal("unauthenticated");
  return claims.output;
}

/** Whether an Ed25519 signature (RFC 8032) holds; keys and signatures as base64url. False for a key that is none. */
export async function verifySignature(key: string, signature: string, payload: Uint8Array): Promise<boolean> {
  const [keyBytes, signatureBytes] = [fromBase64url(key), fromBase64url(signature)];
  if (keyBytes?.length !== 32 || signatureBytes?.length !== 64) return false;
  try {
    const imported = await crypto.subtle.importKey("raw", keyBytes, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signatureBytes, payload);
  } catch {
    return false;
  }
}

/**
 * Lets a request through when its device is signed in and in good standing in D1 at this moment, and counts it.
 * @throws {Refusal} unauthenticated, token_expired, device_revoked, tenant_suspended, rate_limited, unavailable
 */
export const signedIn: MiddlewareHandler<App> = async (c, next) => {
  const [, token] = /^Bearer ([\w.-]+)$/.exec(c.req.header("authorization") ?? "") ?? [];
  if (token === undefined) throw new Refusal("unauthenticated");
  const claims = await verifyToken(c.env, token);
  await countRequest(c.env, "API_LIMIT", claims.device);
  const standing = assertGood(await findStanding(claims.tenant, c.env.DIRECTORY, claims.device));
  const { member, role, residency, policy, revision } = standing;
  c.set("caller", { ...claims, member, role, residency, policy, revision });
  await next();
};

/** The same standing, when it is one to go on with. @throws {Refusal} unauthenticated — none; device_revoked; tenant_suspended */
export function assertGood(standing: Standing | undefined): Standing {
  if (standing === undefined) throw new Refusal("unauthenticated");
  if (standing.out) throw new Refusal("device_revoked");
  if (standing.suspended) throw new Refusal("tenant_suspended");
  return standing;
}

/** Lets owners and admins through. @throws {Refusal} forbidden */
export function assertAdmin({ role }: Caller): void {
  if (role === "member") throw new Refusal("forbidden");
}

/** Refuses a page of another origin. A request without an Origin comes from no page: a command line, a same-origin read. @throws {Refusal} origin_forbidden */
export function assertOrigin(request: Request): void {
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== new URL(request.url).origin) throw new Refusal("origin_forbidden");
}

/** A token of ours with these claims, good for `life` ms. Times in ms. */
export async function sign(
  env: Env,
  {
    audience,
    life,
    claims,
    now,
  }: { readonly audience: string; readonly life: number; readonly claims: JWTPayload; readonly now: number },
): Promise<{ readonly token: string; readonly expiresAt: number }> {
  const [[kid, secret] = unset()] = await secrets(env);
  // A token counts in whole seconds: rounding down keeps it from living longer than it says
  const issuedAt = Math.floor(now / 1_000);
  const expiresAt = issuedAt + life / 1_000;
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT", kid })
    .setIssuer(ISSUER)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(secret);
  return { token, expiresAt: expiresAt * 1_000 };
}

/** The claims of a token of ours for `audience`. @throws {Refusal} unauthenticated — not ours; token_expired — was ours */
export async function verify(env: Env, token: string, audience: string): Promise<JWTPayload> {
  const known = new Map(await secrets(env));
  const keyOf = ({ kid }: { kid?: string }) => {
    const secret = known.get(kid ?? "");
    if (secret === undefined) throw new Refusal("unauthenticated");
    return secret;
  };
  try {
    const rules = { algorithms: ["HS256"], issuer: ISSUER, audience, requiredClaims: ["exp", "iat"] };
    const { payload } = await jwtVerify(token, keyOf, { ...rules, currentDate: new Date() });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired && error.payload.aud === audience) throw new Refusal("token_expired");
    throw new Refusal("unauthenticated");
  }
}

/** A secret as it is used, and the id that tokens name it with. */
type Secret = readonly [kid: string, key: CryptoKey];

// What this isolate was started with: in a storm of sockets importing it anew would cost as much as the verification
let remembered: { readonly list: string; readonly secrets: readonly Secret[] } | undefined;

/** Every secret by the id that tokens name it with; the first one signs. */
async function secrets({ TOKEN_SECRET: list = "" }: Env): Promise<readonly Secret[]> {
  if (remembered?.list !== list) remembered = { list, secrets: await importSecrets(list) };
  return remembered.secrets;
}

/** A secret that could be guessed is as bad as none. */
async function importSecrets(list: string): Promise<readonly Secret[]> {
  const texts = list.split(" ").filter((text) => text.length >= MIN_SECRET);
  if (texts.length === 0) unset();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  return Promise.all(
    texts.map(async (text): Promise<Secret> => {
      const secret = utf8(text);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", secret));
      const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign", "verify"]);
      return [toBase64url(digest.subarray(0, 6)), key];
    }),
  );
}

function unset(): never {
  throw new TypeError("TOKEN_SECRET is missing or shorter than 32 characters");
}
