/// <reference types="vite/types/importMeta.d.ts" />
// Where a tenant's objects live: a namespace double records every call, and the object's own guard is asked directly.

import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { type ConversationId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { isRefusal } from "../../schemas/refusal.ts";
import type { Env } from "../../workers/env.ts";
import { assertResidency, conversationStub, mailboxStub, residencyMode } from "../../workers/residency.ts";
import { call, env, newcomer, newInvite, openSocket, type Person, signIn, signupBody } from "./support/people.ts";

/** Something that answers like any of the objects, and a record of how it was reached. */
function double() {
  const calls: string[] = [];
  const stub = {
    fetch: async () => new Response(null, { status: 200 }),
    claim: async () => [],
    ...Object.fromEntries(
      ["found", "admit", "dismiss", "open", "stock", "expel", "close", "nudge", "proclaim"].map((name) => [
        name,
        async () => undefined,
      ]),
    ),
  };
  const namespace = (path: string): unknown =>
    new Proxy(
      {},
      {
        get(_, name) {
          if (name === "jurisdiction") return (where: string) => namespace(`${path}@${where}`);
          return (id: unknown) => {
            calls.push(`${path}.${String(name)}(${String(id)})`);
            return stub;
          };
        },
      },
    );
  const bindings = {
    CONVERSATIONS: namespace("conversations"),
    MAILBOXES: namespace("mailboxes"),
    HERALDS: namespace("heralds"),
  };
  return { calls, env: { ...env, ...bindings, RESIDENCY: "platform" } as Env };
}

/** Everything a tenant can do over HTTP that reaches an object. */
async function everything(environment: Env, residency: "eu" | "global"): Promise<void> {
  const ask = async (method: string, path: string, { token }: { token?: string }, body?: unknown) => {
    const answer = await call(method, path, { token, env: environment, ...(body === undefined ? {} : { body }) });
    expect(answer.status, `${method} ${path} ${answer.text}`).toBeLessThan(300);
    return answer.body;
  };
  const owner = await newcomer(newId<TenantId>());
  const { token } = await ask("POST", "/api/tenants", {}, signupBody(owner, residency));
  const people: Person[] = [];
  for (const _ of [1, 2]) {
    const invite = await newInvite();
    await ask("POST", "/api/invites", { token }, invite.body);
    const person = await newcomer(owner.tenant);
    const body = { invite: invite.id, secret: invite.secret, member: person.introduction };
    people.push({ ...person, token: (await ask("POST", "/api/members", {}, body)).token });
  }
  const [anna, ben] = people as [Person, Person];
  const id = newId<ConversationId>();
  await ask("POST", "/api/key-packages", anna, {
    packages: [{ bytes: "AAAA", expiresAt: Date.now() + 60_000, lastResort: false }],
  });
  await ask("POST", `/api/members/${anna.member}/key-packages`, { token });
  await ask("POST", "/api/conversations", { token }, { id, members: [anna.member] });
  await ask("POST", `/api/conversations/${id}/members`, { token }, { member: ben.member });
  await openSocket(`/api/conversations/${id}/socket`, anna.token, { env: environment });
  await openSocket("/api/mailbox/socket", anna.token, { env: environment });
  await ask("DELETE", `/api/conversations/${id}/members/${ben.member}`, { token });
  await ask("PATCH", "/api/tenant", { token }, { policy: DEFAULT_POLICY });
  await ask("DELETE", `/api/devices/${anna.device}`, anna);
  await ask("DELETE", `/api/members/${ben.member}`, { token });
  expect((await signIn(owner, { env: environment })).status).toBe(200);
}

describe("on the platform", () => {
  test("R3: no object of an eu tenant is ever reached except through the eu jurisdiction", async () => {
    const { calls, env } = double();
    await everything(env, "eu");
    expect(new Set(calls.map((path) => path.split("(")[0]))).toEqual(
      new Set(["conversations@eu.getByName", "mailboxes@eu.getByName", "heralds@eu.getByName"]),
    );
    expect(calls.length).toBeGreaterThan(10);
  });

  test("R4: a global tenant's objects are reached under no jurisdiction", async () => {
    const { calls, env } = double();
    await everything(env, "global");
    expect(new Set(calls.map((path) => path.split("(")[0]))).toEqual(
      new Set(["conversations.getByName", "mailboxes.getByName", "heralds.getByName"]),
    );
  });

  test("R5: names hold the tenant and random ids, so tenants never share an object", async () => {
    const { calls, env } = double();
    await everything(env, "eu");
    for (const path of calls) expect(path).toMatch(/\(([\w-]{22})\/([\w-]{22}|herald)\)$/);
  });

  test.each([undefined, "", "platform", "Simulated", "simulated ", "yes"])(
    "R6: RESIDENCY = %j fails closed",
    (RESIDENCY) => {
      const mode = { ...(RESIDENCY === undefined ? {} : { RESIDENCY }) };
      expect(residencyMode(mode)).toBe("platform");
      expect(guard({ name: "eu:t/c" }, mode, "eu")).toBe("wrong_residency");
    },
  );

  test("R6: a residency nobody has heard of reaches nothing", () => {
    const { calls, env } = double();
    const home = { tenant: newId<TenantId>(), residency: "moon" as never };
    const ask = [
      () => conversationStub(env, { ...home, conversation: newId<ConversationId>() }),
      () => mailboxStub(env, { ...home, member: newId<MemberId>() }),
    ];
    for (const each of ask) expect(each).toThrow("wrong_residency");
    expect(calls).toEqual([]);
  });
});

/** What the guard says of an object with this id: the code of its refusal, or nothing. */
function guard(id: { name?: string; jurisdiction?: string }, mode: { RESIDENCY?: string }, residency: "eu" | "global") {
  try {
    assertResidency({ id: id as DurableObjectId }, mode, residency);
    return undefined;
  } catch (error) {
    return isRefusal(error) ? error.code : error;
  }
}

describe("the object's own guard", () => {
  const name = "t/c";

  test.each([
    ["eu", { name, jurisdiction: "eu" }, undefined],
    ["eu", { name }, "wrong_residency"],
    ["eu", { name: "eu:t/c" }, "wrong_residency"],
    ["eu", { name, jurisdiction: "us" }, "wrong_residency"],
    ["eu", { name, jurisdiction: "fedramp" }, "wrong_residency"],
    ["global", { name }, undefined],
    ["global", { name, jurisdiction: "eu" }, "wrong_residency"],
  ] as const)("R7: on the platform an object of %s data at %j: %s", (residency, id, expected) => {
    expect(guard(id, { RESIDENCY: "platform" }, residency)).toBe(expected);
  });

  test.each([
    ["eu", { name: "eu:t/c" }, undefined],
    ["eu", { name: "global:t/c" }, "wrong_residency"],
    ["eu", { name }, "wrong_residency"],
    ["eu", {}, "wrong_residency"],
    ["global", { name: "global:t/c" }, undefined],
    ["global", { name: "eu:t/c" }, "wrong_residency"],
  ] as const)("R7: simulated, an object of %s data at %j: %s", (residency, id, expected) => {
    expect(guard(id, { RESIDENCY: "simulated" }, residency)).toBe(expected);
  });

  test("R7: in the real runtime an object knows its name, and refuses data that belongs elsewhere", async () => {
    const home = { tenant: newId<TenantId>(), conversation: newId<ConversationId>() };
    const creator = { member: newId<MemberId>(), device: newId<never>() };
    const decree = { revision: 1, policy: DEFAULT_POLICY, suspended: false };
    const found = (residency: "eu" | "global") =>
      runInDurableObject(conversationStub(env, { ...home, residency: "eu" }), (object) =>
        object.found({ ...home, residency, creator, members: [], decree }),
      );
    await expect(found("global")).rejects.toMatchObject({ code: "wrong_residency" });
    await expect(found("eu")).resolves.toBeUndefined();
  });
});

test("R8: only residency.ts opens the way to an object, and only it knows jurisdictions", () => {
  const sources = import.meta.glob<string>("../../workers/**/*.ts", { query: "?raw", import: "default", eager: true });
  const doors = /\.(jurisdiction|getByName|idFromName|idFromString|newUniqueId)\(/;
  const found = Object.entries(sources).filter(([, source]) => doors.test(source));
  expect(found.map(([path]) => path)).toEqual(["../../workers/residency.ts"]);
  expect(Object.keys(sources).length).toBeGreaterThan(20);
});

test("R9: what anybody may ask tells how residency is kept", async () => {
  expect((await call("GET", "/api/about")).body.residency).toBe("simulated");
  const { calls, env: platform } = double();
  expect((await call("GET", "/api/about", { env: platform })).body.residency).toBe("platform");
  expect(calls).toEqual([]);
  vi.restoreAllMocks();
});
