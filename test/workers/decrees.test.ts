// What is decided for a whole company, its policy and its suspension: who may, and how it gets to every object and stays.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { type ConversationId, newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { isRefusal } from "../../schemas/refusal.ts";
import { conversationStub, heraldStub, mailboxStub } from "../../workers/residency.ts";
import { eventually } from "./support/eventually.ts";
import { call, closingOf, decide, env, openSocket, type Person, signIn, signUp, suspend } from "./support/people.ts";
import { device, Room } from "./support/room.ts";
import { newWorld } from "./support/world.ts";

const policy = { ...DEFAULT_POLICY, minExpiry: 20_000, defaultExpiry: 30_000 };

/** Opens a socket that stays; how it ends. */
async function opened(path: string, { token }: Person) {
  const { webSocket } = await openSocket(path, token);
  if (!webSocket) throw new Error("no socket");
  const ended = new Promise<{ code: number; reason: string }>((resolve) => {
    webSocket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
  });
  webSocket.accept();
  return { ended };
}

const confirmed = (tenant: TenantId) =>
  vi.waitFor(async () => expect((await decide("GET", tenant)).body.confirmed).toBe(true), {
    timeout: 50_000,
    interval: 200,
  });

const charterOf = (tenant: TenantId, conversation: ConversationId) =>
  runInDurableObject(conversationStub(env, { tenant, residency: "eu", conversation }), (_, { storage: { sql } }) => {
    const [row] = sql.exec<{ revision: number; policy: string; suspended: number }>("SELECT * FROM decree").toArray();
    return row && { revision: row.revision, policy: JSON.parse(row.policy), suspended: row.suspended };
  });

describe("the operator's door", () => {
  const methods = ["GET", "PUT", "DELETE"] as const;

  test.each(methods)("H50: %s is not there without the operator's secret, nor where none is set", async (method) => {
    const { owner } = await newWorld();
    for (const token of [undefined, "", owner.token, `${env.OPERATOR_SECRET}x`, env.TOKEN_SECRET]) {
      expect((await decide(method, owner.tenant, { token })).body.code).toBe("not_found");
    }
    const { OPERATOR_SECRET: _, ...unset } = env;
    for (const environment of [unset, { ...env, OPERATOR_SECRET: "" }, { ...env, OPERATOR_SECRET: "short" }]) {
      for (const token of ["", "short", "undefined"]) {
        const answer = await decide(method, owner.tenant, { token, env: environment });
        expect(answer.body.code).toBe("not_found");
      }
    }
    expect((await decide("GET", owner.tenant)).body).toEqual({ suspendedAt: null, confirmed: true });
  });

  test("H50: the operator suspends once, lifts that, and learns how it stands", async () => {
    const { tenant } = await signUp();
    expect((await decide("PUT", tenant)).status).toBe(204);
    const { suspendedAt } = (await decide("GET", tenant)).body;
    expect(suspendedAt).toEqual(expect.any(Number));
    expect((await decide("PUT", tenant)).status).toBe(204);
    expect((await decide("GET", tenant)).body.suspendedAt).toBe(suspendedAt);
    expect((await decide("DELETE", tenant)).status).toBe(204);
    expect((await decide("DELETE", tenant)).status).toBe(204);
    await confirmed(tenant);
    expect((await decide("GET", tenant)).body).toEqual({ suspendedAt: null, confirmed: true });
  });

  test.each(methods)("H50: %s answers for a tenant that is not there, and refuses what is no id", async (method) => {
    expect((await decide(method, newId())).body.code).toBe("not_found");
    expect((await decide(method, "..%2F")).body.code).toBe("malformed");
  });
});

describe("suspension", () => {
  test("H51: every open socket of the company closes, also where the object slept, and no other company's", async () => {
    const [world, other] = [await newWorld(), await newWorld()];
    const { owner, member, conversation } = world;
    const stubs = [
      conversationStub(env, { tenant: owner.tenant, residency: "eu", conversation }),
      mailboxStub(env, { tenant: owner.tenant, residency: "eu", member: member.member }),
    ];
    const path = `/api/conversations/${conversation}/socket`;
    const sockets = [
      await opened(path, owner),
      await opened(path, member),
      await opened("/api/mailbox/socket", owner),
      await opened("/api/mailbox/socket", member),
    ];
    const elsewhere = await opened("/api/mailbox/socket", other.owner);
    for (const stub of stubs) await evictDurableObject(stub as DurableObjectStub);
    await decide("PUT", owner.tenant);
    for (const { ended } of sockets) expect(await ended).toEqual({ code: 4000, reason: "tenant_suspended" });
    for (const address of [path, "/api/mailbox/socket"]) {
      expect((await closingOf(await openSocket(address, owner.token))).reason).toBe("tenant_suspended");
    }
    expect(await Promise.race([elsewhere.ended, scheduler.wait(50).then(() => "open")])).toBe("open");
  });

  test("H51: an object of its own refuses a good token of a suspended company, and takes the first one after the lifting", async () => {
    const { owner, conversation } = await newWorld();
    await decide("PUT", owner.tenant);
    await confirmed(owner.tenant);
    const knock = async ({ token }: Person) => {
      const [, claims = ""] = token.split(".");
      const headers = { upgrade: "websocket", "x-kuvert-claims": JSON.stringify({ ...parse(claims), expiresAt: 0 }) };
      const stub = conversationStub(env, { tenant: owner.tenant, residency: "eu", conversation });
      const { webSocket } = await stub.fetch("http://kuvert.test/", { headers });
      const ended = new Promise((resolve) => webSocket?.addEventListener("close", ({ reason }) => resolve(reason)));
      webSocket?.accept();
      return Promise.race([ended, scheduler.wait(100).then(() => "open")]);
    };
    expect(await knock(owner)).toBe("tenant_suspended");
    // The lifting is in the directory, but nobody has told the object yet
    await env.DIRECTORY.prepare("UPDATE tenants SET suspended_at = NULL WHERE id = ?").bind(owner.tenant).run();
    const { token } = (await signIn(owner)).body;
    expect(await knock({ ...owner, token })).toBe("open");
    expect(await knock(owner)).toBe("open");
  });

  test("H51: lifted, everybody signs in again and talks on", async () => {
    const { owner, member, conversation } = await newWorld();
    await decide("PUT", owner.tenant);
    await confirmed(owner.tenant);
    expect((await signIn(member)).body.code).toBe("tenant_suspended");
    await decide("DELETE", owner.tenant);
    await confirmed(owner.tenant);
    const { token } = (await signIn(member)).body;
    const path = `/api/conversations/${conversation}/socket`;
    for (const address of [path, "/api/mailbox/socket"]) {
      const { ended } = await opened(address, { ...member, token });
      expect(await Promise.race([ended, scheduler.wait(50).then(() => "open")])).toBe("open");
    }
  });
});

describe("decrees", () => {
  test("H52: whatever statement decides something counts it, and nothing else does", async () => {
    const { tenant } = await signUp();
    const revision = () =>
      env.DIRECTORY.prepare("SELECT revision FROM tenants WHERE id = ?").bind(tenant).first<number>("revision");
    expect(await revision()).toBe(1);
    await suspend(tenant);
    await suspend(tenant);
    expect(await revision()).toBe(2);
    await env.DIRECTORY.prepare("UPDATE tenants SET policy = ? WHERE id = ?")
      .bind(JSON.stringify(policy), tenant)
      .run();
    expect(await revision()).toBe(3);
    await env.DIRECTORY.prepare("UPDATE tenants SET policy = policy, name = 'x' WHERE id = ?").bind(tenant).run();
    expect(await revision()).toBe(3);
  });

  test("H52: an older decree changes nothing, whoever brings it", async () => {
    const room = await Room.found();
    const old = room.claims(room.founder);
    await room.stub.adopt({ residency: "eu", decree: { revision: 5, policy, suspended: false } });
    await room.stub.adopt({ residency: "eu", decree: { revision: 4, policy: DEFAULT_POLICY, suspended: true } });
    await room.stub.found(room.founding);
    await room.enter(room.founder);
    expect(old.revision).toBe(1);
    expect(await charterOf(room.tenant, room.conversation)).toEqual({ revision: 5, policy, suspended: 0 });
  });

  test("H52: a decree that comes before the founding holds for what is founded, also after an eviction", async () => {
    const room = new Room();
    await room.stub.adopt({ residency: "eu", decree: { revision: 2, policy, suspended: false } });
    await evictDurableObject(room.stub);
    await room.stub.found(room.founding);
    expect(await charterOf(room.tenant, room.conversation)).toEqual({ revision: 2, policy, suspended: 0 });
  });

  test("H52: a conversation is founded under what holds at that moment", async () => {
    const owner = await signUp();
    await call("PATCH", "/api/tenant", { token: owner.token, body: { policy } });
    const conversation = newId<ConversationId>();
    await call("POST", "/api/conversations", { token: owner.token, body: { id: conversation, members: [] } });
    expect(await charterOf(owner.tenant, conversation)).toEqual({ revision: 2, policy, suspended: 0 });
  });

  test.each(["conversation", "mailbox"])("R7: a %s refuses a decree of another residency", async (kind) => {
    const home = { tenant: newId<TenantId>(), residency: "eu" as const };
    const adopt = { residency: "global" as const, decree: { revision: 1, policy, suspended: true } };
    const refused =
      kind === "mailbox"
        ? runInDurableObject(mailboxStub(env, { ...home, member: newId() }), (object) => object.adopt(adopt))
        : runInDurableObject(conversationStub(env, { ...home, conversation: newId() }), (object) =>
            object.adopt(adopt),
          );
    await expect(refused).rejects.toSatisfy((error) => isRefusal(error) && error.code === "wrong_residency");
  });
});

describe("policy", () => {
  test("X29: a changed policy reaches conversations that are open, at once and without a new token", async () => {
    const { owner, conversation } = await newWorld();
    await opened(`/api/conversations/${conversation}/socket`, owner);
    await call("PATCH", "/api/tenant", { token: owner.token, body: { policy } });
    await eventually(async () => {
      expect(await charterOf(owner.tenant, conversation)).toEqual({ revision: 2, policy, suspended: 0 });
    });
    await confirmed(owner.tenant);
  });

  test("X29: what came before a policy is judged by the one before, what comes later by the new one", async () => {
    const other = device();
    const { room, first } = await Room.full(other);
    const peer = await room.enter(other, 1);
    const sent = Array.from({ length: 20 }, (_, n) => peer.post(1, `early ${n}`, { expiresIn: 10_000 }));
    await first.until(1 + sent.length);
    await room.stub.adopt({ residency: "eu", decree: { ...room.decree, revision: 2, policy } });
    peer.post(1, "late", { expiresIn: 10_000 });
    expect(await peer.refusal()).toMatchObject({ code: "expiry_out_of_policy", detail: { min: 20_000 } });
    expect((await peer.send(1, "default")).envelopes[0]).toMatchObject({ expiresAt: expect.any(Number) });
  });

  test("X29: a shorter retention that the herald brings wakes the object for it", async () => {
    const { room, first } = await Room.full(device());
    await first.send(1, "old");
    const decree = { revision: 2, policy: { ...DEFAULT_POLICY, retention: 86_400_000 }, suspended: false };
    await room.stub.adopt({ residency: "eu", decree });
    const alarm = await runInDurableObject(room.stub, (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeLessThan(Date.now() + 86_400_001);
  });
});

describe("the herald", () => {
  /** So many conversations of a tenant that nobody has founded yet. */
  async function many(tenant: TenantId, count: number): Promise<ConversationId[]> {
    const ids = Array.from({ length: count }, () => newId<ConversationId>());
    const insert = env.DIRECTORY.prepare("INSERT INTO conversations VALUES (?, ?, 'x', 'x', 0)");
    await env.DIRECTORY.batch(ids.map((id) => insert.bind(tenant, id)));
    return ids;
  }

  test("H53: tells everybody, page by page, however many there are", { timeout: 60_000 }, async () => {
    const { tenant } = await signUp();
    const ids = await many(tenant, 205);
    await decide("PUT", tenant);
    await confirmed(tenant);
    for (const id of [ids[0], ids[102], ids[204]]) {
      expect(await charterOf(tenant, id as ConversationId)).toMatchObject({ revision: 2, suspended: 1 });
    }
    const herald = heraldStub(env, { tenant, residency: "eu" });
    expect(await runInDurableObject(herald, (_, { storage }) => storage.getAlarm())).toBeNull();
  });

  test("H53: goes on after an eviction where it was, and tells again whom it could not reach", async () => {
    const { tenant } = await signUp();
    const ids = await many(tenant, 3);
    const home = { tenant, residency: "eu" } as const;
    const herald = heraldStub(env, home);
    await suspend(tenant);
    // As if it had been cut off after having written one conversation down
    await runInDurableObject(herald, (_, { storage }) => {
      const [after = ""] = [...ids].sort();
      const decree = { revision: 2, policy: DEFAULT_POLICY, suspended: true };
      const leg = JSON.stringify({ ...home, decree, kind: "conversation", after });
      storage.sql.exec("INSERT INTO walk VALUES (1, ?)", leg);
      storage.sql.exec(
        "INSERT INTO effects (attempts, due_at, body) VALUES (3, 1, ?)",
        // {"kind": "conversation", "id": after} in CBOR
        new Uint8Array([
          0xa2,
          0x62,
          0x69,
          0x64,
          0x76,
          ...new TextEncoder().encode(after),
          0x64,
          0x6b,
          0x69,
          0x6e,
          0x64,
          0x6c,
          ...new TextEncoder().encode("conversation"),
        ]),
      );
      return storage.setAlarm(Date.now() + 60_000);
    });
    await evictDurableObject(herald);
    for (let turn = 0; turn < 4; turn++) await runDurableObjectAlarm(herald);
    for (const id of ids) expect(await charterOf(tenant, id)).toMatchObject({ revision: 2, suspended: 1 });
    await confirmed(tenant);
  });

  test("H53: what did not even set out is taken up by the next sign-in, also one that is refused", async () => {
    const { owner, conversation } = await newWorld();
    await suspend(owner.tenant);
    expect((await decide("GET", owner.tenant)).body.confirmed).toBe(false);
    expect((await signIn(owner)).body.code).toBe("tenant_suspended");
    await confirmed(owner.tenant);
    expect(await charterOf(owner.tenant, conversation)).toMatchObject({ suspended: 1 });
  });

  test("H53: a herald out of reach is said so, and what was decided stays decided", async () => {
    const owner = await signUp();
    const down = () => Promise.reject(Object.assign(new Error("gone"), { overloaded: true }));
    const environment = { ...env, HERALDS: { getByName: () => ({ proclaim: down }) } } as never;
    expect((await decide("PUT", owner.tenant, { env: environment })).body.code).toBe("unavailable");
    expect((await decide("GET", owner.tenant)).body).toEqual({ suspendedAt: expect.any(Number), confirmed: false });
    expect((await decide("PUT", owner.tenant)).status).toBe(204);
    await confirmed(owner.tenant);
  });

  test("H53: a newer decree that comes while one is under way wins everywhere", { timeout: 60_000 }, async () => {
    const { tenant } = await signUp();
    const ids = await many(tenant, 205);
    await Promise.all([decide("PUT", tenant), decide("DELETE", tenant)]);
    await decide("PUT", tenant);
    await confirmed(tenant);
    for (const id of [ids[0], ids[204]]) {
      expect(await charterOf(tenant, id as ConversationId)).toMatchObject({ suspended: 1 });
    }
  });

  test("H53: a herald of a tenant that is not there, or lives elsewhere, does nothing", async () => {
    const tenant = newId<TenantId>();
    const herald = heraldStub(env, { tenant, residency: "eu" });
    const ask = (residency: "eu" | "global") =>
      runInDurableObject(herald, (object) => object.proclaim({ tenant, residency }));
    await expect(ask("eu")).rejects.toMatchObject({ code: "not_found" });
    await expect(ask("global")).rejects.toMatchObject({ code: "wrong_residency" });
    expect(await runInDurableObject(herald, (_, { storage }) => storage.getAlarm())).toBeNull();
  });
});

function parse(base64url: string): object {
  return JSON.parse(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")));
}
