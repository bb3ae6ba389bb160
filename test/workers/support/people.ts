// Test people: real keys, real sign-up and joining through the Worker's own routes. Each request comes from an address of its own,
// so that no test runs into another's rate limit.

import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import type * as v from "valibot";
import type { InviteBody, SignupBody } from "../../../schemas/api.ts";
import { randomBytes, toBase64url } from "../../../schemas/bytes.ts";
import { certificatePayload, introductionPayload, signInPayload } from "../../../schemas/credential.ts";
import { type DeviceId, type InviteId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";
import type { Residency, Role } from "../../../schemas/policy.ts";
import { app } from "../../../workers/app.ts";
import type { Env } from "../../../workers/env.ts";

export const ORIGIN = "http://kuvert.test";
export const env = bindings as unknown as Env;

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of a body by asserting it
  readonly body: any;
  readonly text: string;
  readonly headers: Headers;
}

export interface Call {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly env?: Env;
}

let addresses = 0;
/** An address nobody has used yet. */
export const newAddress = () => `10.${(++addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`;

/** One raw request to the Worker; resolves when also its chores are done. */
export async function fetchWorker(path: string, init: RequestInit = {}, environment = env): Promise<Response> {
  const context = createExecutionContext();
  const headers = new Headers(init.headers);
  if (!headers.has("cf-connecting-ip")) headers.set("cf-connecting-ip", newAddress());
  const response = await app.fetch(new Request(`${ORIGIN}${path}`, { ...init, headers }), environment, context);
  await waitOnExecutionContext(context);
  return response;
}

/** One request with a JSON body, answered by JSON or nothing. */
export async function call(method: string, path: string, { token, body, headers, env }: Call = {}): Promise<Answer> {
  const init = {
    method,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const response = await fetchWorker(path, init, env);
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text), text, headers: response.headers };
}

/** A new Ed25519 key that signs. */
export async function newKey() {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const raw = (await crypto.subtle.exportKey("raw", pair.publicKey)) as ArrayBuffer;
  return {
    bytes: new Uint8Array(raw),
    publicKey: toBase64url(new Uint8Array(raw)),
    sign: async (payload: Uint8Array<ArrayBuffer>) =>
      toBase64url(new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, payload))),
  };
}

/** A member with a device that has never met the server, ready to sign up or join. */
export async function newcomer(tenant: TenantId, name = "Anna") {
  const [member, device] = [newId<MemberId>(), newId<DeviceId>()];
  const [identity, deviceKey] = [await newKey(), await newKey()];
  const certified = certificatePayload({ tenant, member, device, signatureKey: deviceKey.bytes });
  const introduced = introductionPayload({ tenant, member, device, identityKey: identity.bytes });
  const introduction = {
    id: member,
    name,
    identityKey: identity.publicKey,
    device: {
      id: device,
      name: "Browser",
      signatureKey: deviceKey.publicKey,
      certificate: await identity.sign(certified),
      proof: await deviceKey.sign(introduced),
    },
  };
  return { tenant, member, device, identity, deviceKey, introduction };
}
export type Newcomer = Awaited<ReturnType<typeof newcomer>>;
export type Person = Newcomer & { readonly token: string };

/** A further device of a person, certified and ready to enter. */
export async function newDevice({ tenant, member, identity }: Newcomer) {
  const [id, deviceKey] = [newId<DeviceId>(), await newKey()];
  const certified = certificatePayload({ tenant, member, device: id, signatureKey: deviceKey.bytes });
  const introduced = introductionPayload({ tenant, member, device: id, identityKey: identity.bytes });
  const device = {
    id,
    name: "New browser",
    signatureKey: deviceKey.publicKey,
    certificate: await identity.sign(certified),
    proof: await deviceKey.sign(introduced),
  };
  return { device, deviceKey };
}

/** The body of a sign-up for a newcomer. */
export function signupBody(
  { tenant, introduction }: Newcomer,
  residency: Residency = "eu",
): v.InferInput<typeof SignupBody> {
  return { tenant: { id: tenant, name: "Backhaus", residency }, member: introduction };
}

function expectToken(answer: Answer): string {
  if (answer.status !== 200) throw new Error(`refused: ${answer.text}`);
  return answer.body.token;
}

/** Signs a new tenant up. */
export async function signUp(residency: Residency = "eu"): Promise<Person> {
  const owner = await newcomer(newId<TenantId>(), "Olga");
  return { ...owner, token: expectToken(await call("POST", "/api/tenants", { body: signupBody(owner, residency) })) };
}

/** A new invite with its secret, as the inviter makes it. */
export async function newInvite(options: Partial<v.InferInput<typeof InviteBody>> = {}) {
  const secret = randomBytes(32);
  const secretHash = toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", secret)));
  const body = {
    id: newId<InviteId>(),
    secretHash,
    role: "member" as const,
    uses: 1,
    expiresIn: 86_400_000,
    ...options,
  };
  return { id: body.id as InviteId, secret: toBase64url(secret), body };
}

/** Has a person of this role invited by `owner` and join. */
export async function join(owner: Person, role: Exclude<Role, "owner"> = "member", name = "Jonas"): Promise<Person> {
  const invite = await newInvite({ role });
  await call("POST", "/api/invites", { token: owner.token, body: invite.body });
  const person = await newcomer(owner.tenant, name);
  const body = { invite: invite.id, secret: invite.secret, member: person.introduction };
  return { ...person, token: expectToken(await call("POST", "/api/members", { body })) };
}

/** Signs in by challenge; the raw answer, whatever it is. */
export async function signIn({ tenant, device, deviceKey }: Newcomer, options: Call = {}): Promise<Answer> {
  const { body } = await call("POST", "/api/challenges", { ...options, body: { tenant, device } });
  const signature = await deviceKey.sign(signInPayload(body.challenge));
  return call("POST", "/api/tokens", { ...options, body: { challenge: body.challenge, signature } });
}

/** Suspends a tenant (PUT), lifts that (DELETE) or asks (GET), as its operator does. */
export function decide(method: "PUT" | "DELETE" | "GET", tenant: string, options: Call = {}): Promise<Answer> {
  return call(method, `/api/operator/tenants/${tenant}/suspension`, { token: env.OPERATOR_SECRET, ...options });
}

/** Suspends a tenant in the directory alone, without telling anybody. */
export async function suspend(tenant: TenantId): Promise<void> {
  await env.DIRECTORY.prepare("UPDATE tenants SET suspended_at = 1 WHERE id = ?").bind(tenant).run();
}

/** Opens a socket the way a page does; the response has a `webSocket` when the server took or visibly refused it. */
export function openSocket(
  path: string,
  token: string | undefined,
  options: { env?: Env; headers?: Record<string, string>; offer?: string } = {},
) {
  const offer = options.offer ?? ["kuvert.1", ...(token === undefined ? [] : [`token.${token}`])].join(", ");
  const headers = { upgrade: "websocket", "sec-websocket-protocol": offer, ...options.headers };
  return fetchWorker(path, { headers }, options.env);
}

/** How a refused upgrade ends: code and reason of the close. */
export async function closingOf(response: Response): Promise<{ code: number; reason: string }> {
  const socket = response.webSocket;
  if (!socket) throw new Error(`no socket: ${response.status}`);
  return new Promise((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    socket.accept();
  });
}
