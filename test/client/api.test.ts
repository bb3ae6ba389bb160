// Proves every request of the engine against a real HTTP server on the loopback: what is asked, what is believed, what is refused.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Api, createApi, createDoor, type Door } from "../../client/engine/api.ts";
import type { Tokens } from "../../client/engine/token.ts";
import { toBase64url } from "../../schemas/bytes.ts";
import {
  type ConversationId,
  type DeviceId,
  type GrantId,
  type InviteId,
  type MemberId,
  newId,
  type TenantId,
} from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { REFUSALS, type RefusalCode } from "../../schemas/refusal.ts";
import { json, type Loopback, startLoopback } from "../support/loopback.ts";

const key = toBase64url(new Uint8Array(32).fill(1));
const signature = toBase64url(new Uint8Array(64).fill(2));
const [member, device, conversation, invite] = [
  newId<MemberId>(),
  newId<DeviceId>(),
  newId<ConversationId>(),
  newId<InviteId>(),
];
const newMember = {
  id: member,
  name: "Anna",
  identityKey: key,
  device: { id: device, name: "Laptop", signatureKey: key, certificate: signature, proof: signature },
};
const tenant = newId<TenantId>();
const token = { token: "a.b.c", expiresAt: 2_000, now: 1_000 };
const memberSummary = { id: member, name: "Anna", role: "owner", identityKey: key, createdAt: 1, removedAt: null };
const deviceSummary = {
  id: device,
  name: "Laptop",
  signatureKey: key,
  certificate: signature,
  createdAt: 1,
  lastUsedAt: 2,
  kind: "phone",
  revokedAt: null,
  lockedOut: false,
  admittedBy: newId<GrantId>(),
};
const inviteSummary = {
  id: invite,
  role: "member",
  usesLeft: 3,
  createdAt: 1,
  expiresAt: 2,
  revokedAt: null,
  createdBy: member,
  member: null,
};
const conversationSummary = { id: conversation, members: [member], createdBy: member, createdAt: 1 };
const about = { product: "kuvert", release: "1", protocols: [1], residency: "simulated" };

class FixedTokens implements Tokens {
  readonly dropped: string[] = [];
  #issued = 1;
  async get(): Promise<string> {
    return `t${this.#issued}`;
  }
  drop(dropped: string): void {
    this.dropped.push(dropped);
    this.#issued++;
  }
  adopt(): void {}
}

let server: Loopback;
let tokens: FixedTokens;
let door: Door;
let api: Api;
beforeEach(async () => {
  server = await startLoopback();
  tokens = new FixedTokens();
  door = createDoor({ server: server.url });
  api = createApi({ server: server.url, tokens });
});
afterEach(() => server.stop());

interface Route {
  readonly asks: string;
  readonly call: () => Promise<unknown>;
  readonly body?: unknown;
  /** What the server says; none: 204. */
  readonly says?: unknown;
  readonly gives?: unknown;
}

const challengeBody = { tenant, device };
const signInBody = { challenge: "c", signature };
const signupBody = { tenant: { id: tenant, name: "Bäckerei", residency: "eu" as const }, member: newMember };
const lookBody = { invite, secret: key };
const look = {
  tenant: { id: tenant, name: "Bäckerei" },
  inviter: "Anna",
  role: "member",
  residency: "eu",
  returning: { id: member, name: "Bert" },
};
const inviteBody = { id: invite, secretHash: key, role: "member" as const, uses: 3, expiresIn: 60_000 };
const packages = [{ bytes: toBase64url(new Uint8Array(9)), expiresAt: 5, lastResort: false }];
const claimed = [{ device, bytes: toBase64url(new Uint8Array(9)) }];
const tenantAnswer = { id: tenant, name: "Bäckerei", residency: "eu", policy: DEFAULT_POLICY };

const open: Route[] = [
  { asks: "GET /api/about", call: () => door.about(), says: about, gives: about },
  { asks: "POST /api/tenants", call: () => door.signUp(signupBody), body: signupBody, says: token, gives: token },
  { asks: "POST /api/invites/look", call: () => door.lookAtInvite(lookBody), body: lookBody, says: look, gives: look },
  {
    asks: "POST /api/members",
    call: () => door.join({ invite, secret: key, member: newMember }),
    body: { invite, secret: key, member: newMember },
    says: token,
    gives: token,
  },
  {
    asks: "POST /api/challenges",
    call: () => door.challenge(challengeBody),
    body: challengeBody,
    says: { challenge: "c", expiresAt: 9 },
    gives: { challenge: "c", expiresAt: 9 },
  },
  { asks: "POST /api/tokens", call: () => door.signIn(signInBody), body: signInBody, says: token, gives: token },
];
const signedIn: Route[] = [
  { asks: "GET /api/tenant", call: () => api.tenant(), says: tenantAnswer, gives: tenantAnswer },
  { asks: "PATCH /api/tenant", call: () => api.setPolicy(DEFAULT_POLICY), body: { policy: DEFAULT_POLICY } },
  { asks: "POST /api/invites", call: () => api.createInvite(inviteBody), body: inviteBody },
  { asks: "GET /api/invites", call: () => api.invites(), says: { invites: [inviteSummary] }, gives: [inviteSummary] },
  { asks: `DELETE /api/invites/${invite}`, call: () => api.revokeInvite(invite) },
  { asks: "GET /api/members", call: () => api.members(), says: { members: [memberSummary] }, gives: [memberSummary] },
  { asks: `PATCH /api/members/${member}`, call: () => api.setRole(member, "admin"), body: { role: "admin" } },
  { asks: `DELETE /api/members/${member}`, call: () => api.removeMember(member) },
  { asks: "GET /api/devices", call: () => api.devices(), says: { devices: [deviceSummary] }, gives: [deviceSummary] },
  { asks: `GET /api/devices?member=${member}`, call: () => api.devices(member), says: { devices: [] }, gives: [] },
  { asks: `DELETE /api/devices/${device}`, call: () => api.revokeDevice(device) },
  { asks: "POST /api/key-packages", call: () => api.stockKeyPackages(packages), body: { packages } },
  {
    asks: `POST /api/members/${member}/key-packages`,
    call: () => api.claimKeyPackages(member),
    says: { packages: claimed },
    gives: claimed,
  },
  {
    asks: "POST /api/conversations",
    call: () => api.found({ id: conversation, members: [member] }),
    body: { id: conversation, members: [member] },
  },
  {
    asks: "GET /api/conversations",
    call: () => api.conversations(),
    says: { conversations: [conversationSummary] },
    gives: [conversationSummary],
  },
  {
    asks: `POST /api/conversations/${conversation}/members`,
    call: () => api.admit(conversation, member),
    body: { member },
  },
  {
    asks: `DELETE /api/conversations/${conversation}/members/${member}`,
    call: () => api.dismiss(conversation, member),
  },
];
const answering = [...open, ...signedIn].filter(({ says }) => says !== undefined);

describe("routes", () => {
  test.for([...open, ...signedIn])("N10: $asks", async (route) => {
    server.answer = (_, response) => {
      if (route.says === undefined) response.writeHead(204).end();
      else json(response, 200, route.says);
    };
    expect(await route.call()).toEqual(route.gives);
    const [asked] = server.asked;
    expect(`${asked?.method} ${asked?.path}`).toBe(route.asks);
    expect(asked?.body === "" ? undefined : JSON.parse(asked?.body ?? "")).toEqual(route.body);
    expect(asked?.headers["content-type"]).toBe(route.body === undefined ? undefined : "application/json");
    expect(asked?.headers.authorization).toBe(signedIn.includes(route) ? "Bearer t1" : undefined);
    expect(server.asked.length).toBe(1);
  });

  test.for(answering)("N11: $asks believes no answer of another shape", async ({ call, says }) => {
    const wrong = [undefined, null, [], {}, "text", { ...(says as object), extra: 1 }];
    for (const [name, part] of Object.entries(says as object)) {
      wrong.push({ ...(says as object), [name]: Array.isArray(part) ? [{}] : [part] });
    }
    for (const body of wrong) {
      server.answer = (_, response) => {
        if (body === undefined) response.end("<html>");
        else json(response, 200, body);
      };
      await expect(call()).rejects.toMatchObject({
        code: "unavailable",
        detail: { reason: "unreadable", status: 200 },
      });
    }
  });
});

const refusal = (code: string, remedy = "give_up", detail: unknown = {}) => ({ code, remedy, detail });

describe("refusals", () => {
  test.for(Object.keys(REFUSALS) as RefusalCode[])("N12: a refusal %s keeps its code and its detail", async (code) => {
    const detail = { epoch: 7, leaves: [1, 2], reference: "r", last: true, none: null };
    server.answer = (_, response) =>
      json(
        response,
        REFUSALS[code].status,
        refusal(code, REFUSALS[code].remedy, { ...detail, deep: { a: 1 }, odd: [[]] }),
      );
    await expect(door.about()).rejects.toMatchObject({ name: "Refusal", code, detail });
    await expect(door.about()).rejects.not.toHaveProperty("detail.deep");
    await expect(door.about()).rejects.not.toHaveProperty("detail.odd");
  });

  test("N12: a code of a newer server is understood by its remedy", async () => {
    server.answer = (_, response) => json(response, 418, refusal("tea_time", "update"));
    await expect(door.about()).rejects.toMatchObject({ code: "version_unsupported", detail: { unknown: "tea_time" } });
    server.answer = (_, response) => json(response, 418, refusal("toString", "give_up"));
    await expect(door.about()).rejects.toMatchObject({ code: "internal", detail: { unknown: "toString" } });
  });

  test("N13: what some gateway says counts as no answer, whatever its status", async () => {
    for (const status of [400, 401, 403, 404, 410, 426, 500, 502, 503]) {
      server.answer = (_, response) =>
        void response.writeHead(status, { "content-type": "text/html" }).end("<h1>No</h1>");
      await expect(api.members()).rejects.toMatchObject({ code: "unavailable", detail: { status } });
      server.answer = (_, response) => json(response, status, { error: "device_revoked", code: 7 });
      await expect(api.members()).rejects.toMatchObject({ code: "unavailable", detail: { status } });
    }
    expect(tokens.dropped).toEqual([]);
  });
});

describe("the network", () => {
  const unreachable = { code: "unavailable", detail: { reason: "unreachable" } };

  test("N13: no server, a cut connection and an answer cut short are `unavailable`", async () => {
    server.answer = (_, response) => void response.destroy();
    await expect(door.about()).rejects.toMatchObject(unreachable);
    server.answer = (_, response) => {
      response.writeHead(200, { "content-length": "1000" }).write("{", () => response.destroy());
    };
    await expect(door.about()).rejects.toMatchObject(unreachable);
    await server.stop();
    await expect(door.about()).rejects.toMatchObject(unreachable);
    server = await startLoopback();
  });

  test("N13: an answer that does not come in time, or does not end in time, is `unavailable`", async () => {
    const hasty = createDoor({ server: server.url, timeout: 50 });
    server.answer = () => undefined;
    await expect(hasty.about()).rejects.toMatchObject(unreachable);
    server.answer = (_, response) => void response.writeHead(200).write("{");
    await expect(hasty.about()).rejects.toMatchObject(unreachable);
  });

  test("N14: no redirect is followed, so that a token stays with its server", async () => {
    const other = await startLoopback();
    other.answer = (_, response) => json(response, 200, { members: [] });
    server.answer = (_, response) => void response.writeHead(307, { location: `${other.url}/api/members` }).end();
    await expect(api.members()).rejects.toMatchObject(unreachable);
    expect(other.asked).toEqual([]);
    await other.stop();
  });
});

describe("tokens", () => {
  test.for(["unauthenticated", "token_expired"])(
    "N15: a token refused as %s is replaced once, silently",
    async (code) => {
      server.answer = ({ headers }, response) => {
        if (headers.authorization === "Bearer t1") json(response, 401, refusal(code, "sign_in"));
        else json(response, 200, { members: [] });
      };
      expect(await api.members()).toEqual([]);
      expect(tokens.dropped).toEqual(["t1"]);
      expect(await api.members()).toEqual([]);
      expect(server.asked.length).toBe(3);
    },
  );

  test("N15: a second no is believed, and no other refusal asks for a new token", async () => {
    server.answer = (_, response) => json(response, 401, refusal("unauthenticated", "sign_in"));
    await expect(api.members()).rejects.toMatchObject({ code: "unauthenticated" });
    expect(server.asked.length).toBe(2);
    server.answer = (_, response) => json(response, 403, refusal("device_revoked"));
    await expect(api.members()).rejects.toMatchObject({ code: "device_revoked" });
    expect(server.asked.length).toBe(3);
    expect(tokens.dropped).toEqual(["t1"]);
  });
});
