// Owns every HTTP request to the server: one typed method per route, answers checked against the contract. Keeps no state.

import * as v from "valibot";
import * as contract from "../../schemas/api.ts";
import type { ConversationId, DeviceId, InviteId, MemberId } from "../../schemas/ids.ts";
import type { Policy } from "../../schemas/policy.ts";
import { isRefusal, REFUSALS, Refusal, type RefusalCode, type RefusalDetail } from "../../schemas/refusal.ts";
import type { Tokens } from "./token.ts";

type In<Schema extends v.GenericSchema> = v.InferInput<Schema>;
type Out<Schema extends v.GenericSchema> = v.InferOutput<Schema>;
export type TokenAnswer = Out<typeof contract.TokenAnswer>;

/** What needs no account. Every method may be refused with any code of the contract, and with `unavailable` when there is no answer or none that can be read. */
export interface Door {
  about(): Promise<Out<typeof contract.AboutAnswer>>;
  signUp(request: In<typeof contract.SignupBody>): Promise<TokenAnswer>;
  lookAtInvite(request: In<typeof contract.InviteLookBody>): Promise<Out<typeof contract.InviteLookAnswer>>;
  join(request: In<typeof contract.JoinBody>): Promise<TokenAnswer>;
  challenge(request: In<typeof contract.ChallengeBody>): Promise<Out<typeof contract.ChallengeAnswer>>;
  signIn(request: In<typeof contract.SignInBody>): Promise<TokenAnswer>;
  openShare(request: In<typeof contract.ShareBody>): Promise<Out<typeof contract.ShareAnswer>>;
  changeShare(request: In<typeof contract.ShareChangeBody>): Promise<void>;
}

/** What a signed-in device may ask. Refusals as for {@link Door}; a token the server no longer takes is replaced once, silently. */
export interface Api {
  tenant(): Promise<Out<typeof contract.TenantAnswer>>;
  setPolicy(policy: Policy): Promise<void>;
  createInvite(request: In<typeof contract.InviteBody>): Promise<void>;
  invites(): Promise<Out<typeof contract.InvitesAnswer>["invites"]>;
  revokeInvite(invite: InviteId): Promise<void>;
  members(): Promise<Out<typeof contract.MembersAnswer>["members"]>;
  setRole(member: MemberId, role: "admin" | "member"): Promise<void>;
  removeMember(member: MemberId): Promise<void>;
  /** Own devices, or for admins those of `member`. */
  devices(member?: MemberId): Promise<Out<typeof contract.DevicesAnswer>["devices"]>;
  revokeDevice(device: DeviceId): Promise<void>;
  renameDevice(device: DeviceId, name: string): Promise<void>;
  describeDevice(device: DeviceId, kind: contract.DeviceKind): Promise<void>;
  releaseDevice(device: DeviceId): Promise<void>;
  stockKeyPackages(packages: In<typeof contract.KeyPackagesBody>["packages"]): Promise<void>;
  claimKeyPackages(member: MemberId): Promise<Out<typeof contract.ClaimAnswer>["packages"]>;
  found(request: { readonly id: ConversationId; readonly members: readonly MemberId[] }): Promise<void>;
  conversations(): Promise<Out<typeof contract.ConversationsAnswer>["conversations"]>;
  admit(conversation: ConversationId, member: MemberId): Promise<void>;
  dismiss(conversation: ConversationId, member: MemberId): Promise<void>;
}

export interface DoorOptions {
  /** Origin of the server, such as `https://kuvert.example`. */
  readonly server: string;
  readonly fetch?: typeof fetch;
  /** Gives up on an answer after this many ms (30,000 unless told). */
  readonly timeout?: number;
}

/** What somebody without an account may ask `server`. */
export function createDoor(options: DoorOptions): Door {
  const call = createCall(options);
  return {
    about: () => call({ path: "/api/about", answer: contract.AboutAnswer }),
    signUp: (body) => call({ method: "POST", path: "/api/tenants", body, answer: contract.TokenAnswer }),
    lookAtInvite: (body) =>
      call({ method: "POST", path: "/api/invites/look", body, answer: contract.InviteLookAnswer }),
    join: (body) => call({ method: "POST", path: "/api/members", body, answer: contract.TokenAnswer }),
    challenge: (body) => call({ method: "POST", path: "/api/challenges", body, answer: contract.ChallengeAnswer }),
    signIn: (body) => call({ method: "POST", path: "/api/tokens", body, answer: contract.TokenAnswer }),
    openShare: (body) => call({ method: "POST", path: "/api/shares/open", body, answer: contract.ShareAnswer }),
    changeShare: (body) => call({ method: "POST", path: "/api/shares/change", body, answer: Nothing }),
  };
}

/** What the device that `tokens` signs in may ask `server`. */
export function createApi(options: DoorOptions & { readonly tokens: Tokens }): Api {
  const call = signedIn(createCall(options), options.tokens);
  return {
    tenant: () => call({ path: "/api/tenant", answer: contract.TenantAnswer }),
    setPolicy: (policy) => call({ method: "PATCH", path: "/api/tenant", body: { policy }, answer: Nothing }),
    createInvite: (body) => call({ method: "POST", path: "/api/invites", body, answer: Nothing }),
    invites: async () => (await call({ path: "/api/invites", answer: contract.InvitesAnswer })).invites,
    revokeInvite: (invite) => call({ method: "DELETE", path: `/api/invites/${invite}`, answer: Nothing }),
    members: async () => (await call({ path: "/api/members", answer: contract.MembersAnswer })).members,
    setRole: (member, role) =>
      call({ method: "PATCH", path: `/api/members/${member}`, body: { role }, answer: Nothing }),
    removeMember: (member) => call({ method: "DELETE", path: `/api/members/${member}`, answer: Nothing }),
    devices: async (member) => {
      const path = member === undefined ? "/api/devices" : `/api/devices?member=${member}`;
      return (await call({ path, answer: contract.DevicesAnswer })).devices;
    },
    revokeDevice: (device) => call({ method: "DELETE", path: `/api/devices/${device}`, answer: Nothing }),
    renameDevice: (device, name) =>
      call({ method: "PATCH", path: `/api/devices/${device}`, body: { name }, answer: Nothing }),
    releaseDevice: (device) => call({ method: "POST", path: `/api/devices/${device}/release`, answer: Nothing }),
    describeDevice: (device, kind) =>
      call({ method: "PATCH", path: `/api/devices/${device}`, body: { kind }, answer: Nothing }),
    stockKeyPackages: (packages) =>
      call({ method: "POST", path: "/api/key-packages", body: { packages }, answer: Nothing }),
    claimKeyPackages: async (member) => {
      const path = `/api/members/${member}/key-packages`;
      return (await call({ method: "POST", path, answer: contract.ClaimAnswer })).packages;
    },
    found: (body) => call({ method: "POST", path: "/api/conversations", body, answer: Nothing }),
    conversations: async () =>
      (await call({ path: "/api/conversations", answer: contract.ConversationsAnswer })).conversations,
    admit: (conversation, member) =>
      call({ method: "POST", path: `/api/conversations/${conversation}/members`, body: { member }, answer: Nothing }),
    dismiss: (conversation, member) =>
      call({ method: "DELETE", path: `/api/conversations/${conversation}/members/${member}`, answer: Nothing }),
  };
}

/** For routes whose answer says no more than its status: whatever it holds is not looked at. */
export const Nothing = v.pipe(
  v.unknown(),
  v.transform(() => undefined),
);

interface Call<Schema extends v.GenericSchema> {
  readonly method?: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly answer: Schema;
}
type Caller = <Schema extends v.GenericSchema>(call: Call<Schema>, token?: string) => Promise<Out<Schema>>;

/** Requests of `server` whose bodies and answers are JSON. */
export function createCall({ server, fetch: send = fetch, timeout = 30_000 }: DoorOptions): Caller {
  return async ({ method = "GET", path, body, answer }, token) => {
    const url = new URL(path, server);
    const request: RequestInit = {
      method,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeout),
      // A token must go nowhere but to the server it is for, and nothing is answered from a cache.
      redirect: "error",
      credentials: "omit",
      cache: "no-store",
    };
    const { status, ok, content } = await exchange(() => send(url, request));
    if (!ok) throw refusalOf(status, content);
    const parsed = v.safeParse(answer, content);
    if (!parsed.success) throw new Refusal("unavailable", { reason: "unreadable", status });
    return parsed.output;
  };
}

/** Whatever keeps an answer from coming whole is `unavailable`: no network, no such host, too slow, cut off. */
async function exchange(send: () => Promise<Response>): Promise<{ status: number; ok: boolean; content: unknown }> {
  try {
    const response = await send();
    return { status: response.status, ok: response.ok, content: readJson(await response.text()) };
  } catch {
    throw new Refusal("unavailable", { reason: "unreachable" });
  }
}

/** The value of a JSON text; `undefined` for any other text. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Only a refusal in the contract's own words counts as one: the 403 of some gateway on the way must not end an account. */
export function refusalOf(status: number, content: unknown): Refusal {
  const parsed = v.safeParse(contract.RefusalAnswer, content);
  if (!parsed.success) return new Refusal("unavailable", { reason: "unreadable", status });
  const { code, remedy, detail } = parsed.output;
  if (Object.hasOwn(REFUSALS, code)) return new Refusal(code as RefusalCode, detailOf(detail));
  // A newer server has found a new way to say no; its remedy is all we understand of it.
  return new Refusal(remedy === "update" ? "version_unsupported" : "internal", { unknown: code.slice(0, 80) });
}

function detailOf(detail: Record<string, unknown>): RefusalDetail {
  return Object.fromEntries(Object.entries(detail).filter((entry): entry is [string, Plain] => isPlain(entry[1])));
}

type Plain = RefusalDetail[string];
const isScalar = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number";
const isPlain = (value: unknown): value is Plain =>
  value === null || typeof value === "boolean" || isScalar(value) || (Array.isArray(value) && value.every(isScalar));

/** The same calls with a token; one that the server turns down is replaced and the call made once more. */
export function signedIn(call: Caller, tokens: Pick<Tokens, "get" | "drop">): Caller {
  return async (request) => {
    const token = await tokens.get();
    try {
      return await call(request, token);
    } catch (error) {
      if (!isRefusal(error) || REFUSALS[error.code].remedy !== "sign_in") throw error;
      tokens.drop(token);
      return call(request, await tokens.get());
    }
  };
}
