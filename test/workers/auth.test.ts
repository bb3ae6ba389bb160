// Who is let in: tokens, challenges, origins and the upgrade of sockets.

import { SignJWT, UnsecuredJWT } from "jose";
import { afterEach, describe, expect, test, vi } from "vitest";
import { toBase64url, utf8 } from "../../schemas/bytes.ts";
import { signInPayload } from "../../schemas/credential.ts";
import { newId } from "../../schemas/ids.ts";
import {
  call,
  closingOf,
  env,
  fetchWorker,
  join,
  newcomer,
  openSocket,
  signIn,
  signUp,
  suspend,
} from "./support/people.ts";
import { brokenDirectory, claimsOf, forge, kidOf } from "./support/tokens.ts";

const MINUTE = 60_000;
afterEach(() => void vi.useRealTimers());
const later = (ms: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
const standing = (token: string, options = {}) => call("GET", "/api/tenant", { token, ...options });

describe("access tokens", () => {
  test("H9: live ten minutes to the second and say so", async () => {
    const owner = await signUp();
    const { body } = await signIn(owner);
    expect(body.expiresAt - body.now).toBeGreaterThan(10 * MINUTE - 1_001);
    expect(body.expiresAt - body.now).toBeLessThanOrEqual(10 * MINUTE);
    vi.useFakeTimers({ toFake: ["Date"], now: body.expiresAt - 1 });
    expect((await standing(body.token)).status).toBe(200);
    vi.setSystemTime(body.expiresAt);
    expect(await standing(body.token)).toMatchObject({
      status: 401,
      body: { code: "token_expired", remedy: "sign_in" },
    });
  });

  test("H9: name tenant, member, device, role, residency and policy, and nothing else of anybody", async () => {
    const owner = await signUp();
    const claims = claimsOf(owner.token);
    const names = ["aud", "device", "exp", "iat", "iss", "member", "policy", "residency", "revision", "role", "tenant"];
    expect(Object.keys(claims).sort()).toEqual(names);
    expect(claims).toMatchObject({ tenant: owner.tenant, member: owner.member, device: owner.device, role: "owner" });
  });

  test("H9: signed by another secret, under another key id, by no algorithm or by another one are not ours", async () => {
    const owner = await signUp();
    const claims = claimsOf(owner.token);
    const secret = utf8(env.TOKEN_SECRET);
    const kid = kidOf(owner.token);
    const forgeries = [
      await forge(claims, { secret: utf8("B".repeat(43)), kid }),
      await forge(claims, { secret, kid: "../../dev/null" }),
      await forge(claims, { secret, kid: "__proto__" }),
      await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(secret),
      await new SignJWT(claims).setProtectedHeader({ alg: "HS512", kid }).sign(utf8("A".repeat(64))),
      new UnsecuredJWT(claims).encode(),
      owner.token.replace(/[^.]*$/, ""),
      owner.token.slice(0, -2),
      `${owner.token.split(".")[0]}.${toBase64url(utf8(JSON.stringify({ ...claims, role: "admin" })))}.${owner.token.split(".")[2]}`,
      "x",
      "..",
    ];
    for (const token of forgeries) {
      expect(await standing(token)).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    }
    expect((await standing(await forge(claims, { secret, kid }))).status).toBe(200);
  });

  test("H9: with missing or wrong claims are not ours, though we signed them", async () => {
    const owner = await signUp();
    const claims = claimsOf(owner.token);
    const signing = { secret: utf8(env.TOKEN_SECRET), kid: kidOf(owner.token) };
    const { exp: _exp, ...eternal } = claims;
    const { device: _device, ...nobody } = claims;
    const wrong = [
      eternal,
      nobody,
      { ...claims, aud: "challenge" },
      { ...claims, aud: "elsewhere", exp: 1 },
      { ...claims, iss: "elsewhere" },
      { ...claims, device: "../../etc" },
      { ...claims, residency: "moon" },
      { ...claims, nbf: Math.floor(Date.now() / 1000) + 600 },
    ];
    for (const each of wrong) expect((await standing(await forge(each, signing))).body.code).toBe("unauthenticated");
  });

  test("H9: a challenge is no access token, and an access token no challenge", async () => {
    const owner = await signUp();
    const { body } = await call("POST", "/api/challenges", { body: { tenant: owner.tenant, device: owner.device } });
    expect((await standing(body.challenge)).body.code).toBe("unauthenticated");
    const signature = await owner.deviceKey.sign(signInPayload(owner.token));
    const answer = await call("POST", "/api/tokens", { body: { challenge: owner.token, signature } });
    expect(answer.body.code).toBe("unauthenticated");
  });

  test("H9: a changed secret is taken in turn: the new one signs, the old one still verifies until it is dropped", async () => {
    const owner = await signUp();
    const [old, young] = [env.TOKEN_SECRET, "C".repeat(43)];
    const both = { ...env, TOKEN_SECRET: `${young} ${old}` };
    expect((await standing(owner.token, { env: both })).status).toBe(200);
    const { body } = await signIn(owner, { env: both });
    expect(kidOf(body.token)).not.toBe(kidOf(owner.token));
    const alone = { ...env, TOKEN_SECRET: young };
    expect((await standing(body.token, { env: alone })).status).toBe(200);
    expect((await standing(owner.token, { env: alone })).body.code).toBe("unauthenticated");
  });

  test("H9: without a good secret nothing is signed and nobody is let in", async () => {
    const owner = await newcomer(newId());
    vi.spyOn(console, "error").mockReturnValue();
    for (const TOKEN_SECRET of ["", "short", undefined as never]) {
      const poor = { ...env, TOKEN_SECRET };
      const answer = await call("POST", "/api/challenges", {
        env: poor,
        body: { tenant: owner.tenant, device: owner.device },
      });
      expect(answer).toMatchObject({ status: 500, body: { code: "internal" } });
    }
  });

  test.each(["", "Basic YTpi", "Bearer", "Bearer ", "bearer x", "Bearer a b", "Bearer é"])(
    "H9: the authorization %j is none",
    async (authorization) => {
      const answer = await call("GET", "/api/tenant", {
        headers: authorization === "" ? {} : { authorization: encodeURI(authorization).replaceAll("%20", " ") },
      });
      expect(answer).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    },
  );
});

describe("challenges", () => {
  const challenge = async (person: { tenant: string; device: string }) =>
    (await call("POST", "/api/challenges", { body: { tenant: person.tenant, device: person.device } })).body.challenge;

  test("H10: is good for a minute and not longer", async () => {
    const owner = await signUp();
    const text = await challenge(owner);
    const body = { challenge: text, signature: await owner.deviceKey.sign(signInPayload(text)) };
    expect((await call("POST", "/api/tokens", { body })).status).toBe(200);
    later(61_000);
    expect((await call("POST", "/api/tokens", { body })).body.code).toBe("token_expired");
  });

  test("H10: replayed, its answer signs in the device that signed and no other", async () => {
    const owner = await signUp();
    const text = await challenge(owner);
    const body = { challenge: text, signature: await owner.deviceKey.sign(signInPayload(text)) };
    const answers = await Promise.all([1, 2].map(() => call("POST", "/api/tokens", { body })));
    for (const { body } of answers) expect(claimsOf(body.token)).toMatchObject({ device: owner.device });
    const next = { ...body, challenge: await challenge(owner) };
    expect((await call("POST", "/api/tokens", { body: next })).body.code).toBe("not_found");
  });

  test("H10: an unknown device, another tenant's and a wrong signature are answered alike", async () => {
    const [owner, other] = [await signUp(), await signUp()];
    const texts = [
      await challenge({ tenant: owner.tenant, device: newId() }),
      await challenge({ tenant: owner.tenant, device: other.device }),
      await challenge({ tenant: newId(), device: owner.device }),
      await challenge(owner),
    ];
    const answers = [];
    for (const text of texts) {
      const signature = await other.deviceKey.sign(signInPayload(text));
      answers.push(await call("POST", "/api/tokens", { body: { challenge: text, signature } }));
    }
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]?.body.code).toBe("not_found");
  });

  test("H10: a signature without the sign-in domain is none, so that no MLS signature can sign in", async () => {
    const owner = await signUp();
    const text = await challenge(owner);
    const signature = await owner.deviceKey.sign(utf8(text));
    expect((await call("POST", "/api/tokens", { body: { challenge: text, signature } })).body.code).toBe("not_found");
  });

  test("H10: whether there is such a device is not told by asking for a challenge", async () => {
    const owner = await signUp();
    const ask = (tenant: string, device: string) => call("POST", "/api/challenges", { body: { tenant, device } });
    const answers = [await ask(owner.tenant, owner.device), await ask(newId(), newId())];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0]?.text.length).toBe(answers[1]?.text.length);
  });

  test("H11: a suspended tenant's devices are told so once they have proved who they are", async () => {
    const owner = await signUp();
    await suspend(owner.tenant);
    expect(await signIn(owner)).toMatchObject({ status: 403, body: { code: "tenant_suspended" } });
    expect((await standing(owner.token)).body.code).toBe("tenant_suspended");
  });
});

describe("origins", () => {
  test.each([
    "https://evil.test",
    "http://kuvert.test:81",
    "https://kuvert.test",
    "http://sub.kuvert.test",
    "null",
    "",
  ])("H12: a page of %j is refused, whatever it asks", async (origin) => {
    const owner = await signUp();
    for (const path of ["/api/about", "/api/tenant", "/api/nothing"]) {
      const answer = await call("GET", path, { token: owner.token, headers: { origin } });
      expect(answer).toMatchObject({ status: 403, body: { code: "origin_forbidden" } });
    }
    const response = await openSocket("/api/mailbox/socket", owner.token, { headers: { origin } });
    expect(response.status).toBe(403);
  });

  test("H12: our own page and the command line are let through, and nobody is told they may read us from elsewhere", async () => {
    const owner = await signUp();
    for (const headers of [{ origin: "http://kuvert.test" }, {}]) {
      const answer = await call("GET", "/api/tenant", { token: owner.token, headers });
      expect(answer.status).toBe(200);
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    const preflight = await fetchWorker("/api/tenant", {
      method: "OPTIONS",
      headers: { origin: "http://kuvert.test" },
    });
    expect(preflight.status).toBe(404);
    expect([...preflight.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("sockets", () => {
  const PATH = "/api/mailbox/socket";

  test("H13: opens with the token among the subprotocols, which is never echoed", async () => {
    const owner = await signUp();
    const response = await openSocket(PATH, owner.token);
    expect(response.status).toBe(101);
    expect(response.headers.get("sec-websocket-protocol")).toBe("kuvert.1");
    expect(JSON.stringify([...response.headers])).not.toContain(owner.token);
  });

  test("H13: a token in the address opens nothing", async () => {
    const owner = await signUp();
    const response = await openSocket(`${PATH}?token=${owner.token}`, undefined);
    expect(await closingOf(response)).toEqual({ code: 4000, reason: "unauthenticated" });
  });

  test("H13: without a version it knows the server says so, where the client can see it", async () => {
    const owner = await signUp();
    const offer = `kuvert.999, token.${owner.token}`;
    const response = await openSocket(PATH, undefined, { offer });
    expect(response.headers.get("sec-websocket-protocol")).toBe("kuvert.999");
    expect(await closingOf(response)).toEqual({ code: 4000, reason: "version_unsupported" });
    const both = await openSocket(PATH, undefined, { offer: `kuvert.999, kuvert.1, token.${owner.token}` });
    expect(both.headers.get("sec-websocket-protocol")).toBe("kuvert.1");
    expect((await openSocket(PATH, undefined, { offer: `token.${owner.token}` })).status).toBe(426);
    expect((await openSocket(PATH, undefined, { offer: "" })).status).toBe(426);
  });

  test("H13: a request that is no upgrade is malformed", async () => {
    const owner = await signUp();
    expect((await call("GET", PATH, { token: owner.token })).body.code).toBe("malformed");
  });

  test("H13: claims that a client sends along are dropped", async () => {
    const [owner, other] = [await signUp(), await signUp()];
    const fetch = vi.fn(async (_url: string, _init: { headers: Record<string, string> }) => new Response(null));
    const double = { ...env, MAILBOXES: { getByName: () => ({ fetch }) } } as never;
    const headers = {
      "x-kuvert-claims": JSON.stringify(claimsOf(other.token)),
      cookie: "a=b",
      authorization: "Bearer x",
    };
    await openSocket(PATH, owner.token, { env: double, headers });
    const sent = fetch.mock.calls[0]?.[1].headers ?? {};
    expect(Object.keys(sent).sort()).toEqual(["upgrade", "x-kuvert-claims"]);
    expect(JSON.parse(sent["x-kuvert-claims"] ?? "")).toMatchObject({ tenant: owner.tenant, device: owner.device });
  });

  test("H14: a suspended tenant's, a removed member's and a revoked device's live tokens open no new socket", async () => {
    const owner = await signUp();
    const [gone, lost] = [await join(owner), await join(owner)];
    await call("DELETE", `/api/members/${gone.member}`, owner);
    await call("DELETE", `/api/devices/${lost.device}`, owner);
    for (const { token } of [gone, lost]) {
      expect(await closingOf(await openSocket(PATH, token))).toEqual({ code: 4000, reason: "device_revoked" });
    }
    const other = await signUp();
    await suspend(other.tenant);
    expect(await closingOf(await openSocket(PATH, other.token))).toEqual({ code: 4000, reason: "tenant_suspended" });
  });

  test("H14: with D1 down sockets still open, and a suspension is noticed within a minute once it answers", async () => {
    const owner = await signUp();
    vi.spyOn(console, "error").mockReturnValue();
    const response = await openSocket(PATH, owner.token, { env: brokenDirectory("D1_ERROR: storage is down") });
    expect(response.status).toBe(101);
    expect(response.webSocket).not.toBeNull();
    expect((await openSocket(PATH, owner.token)).status).toBe(101);
    await suspend(owner.tenant);
    later(MINUTE);
    expect((await closingOf(await openSocket(PATH, owner.token))).reason).toBe("tenant_suspended");
  });

  test("H14: a hundred devices coming back ask D1 once", async () => {
    const owner = await signUp();
    const batch = vi.fn(env.DIRECTORY.batch.bind(env.DIRECTORY));
    const DIRECTORY = { prepare: env.DIRECTORY.prepare.bind(env.DIRECTORY), batch };
    const watched = { ...env, DIRECTORY } as never;
    const responses = await Promise.all(
      Array.from({ length: 100 }, () => openSocket(PATH, owner.token, { env: watched })),
    );
    expect(responses.every(({ status }) => status === 101)).toBe(true);
    expect(batch.mock.calls.length).toBeLessThanOrEqual(2);
  });
});
