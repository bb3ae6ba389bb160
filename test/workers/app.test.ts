/// <reference types="vite/types/importMeta.d.ts" />
// What every answer has in common: refusals, headers, caps, traces, and the files of the browser client.

import { afterEach, describe, expect, test, vi } from "vitest";
import { PROTOCOL_VERSIONS } from "../../schemas/frames.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { newId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { REFUSALS } from "../../schemas/refusal.ts";
import { reach } from "../../workers/reach.ts";
import { call, env, fetchWorker, join, newInvite, openSocket, signIn, signUp } from "./support/people.ts";
import { brokenDirectory } from "./support/tokens.ts";

afterEach(() => void vi.restoreAllMocks());
const silence = () => vi.spyOn(console, "error").mockReturnValue();

describe("refusals", () => {
  test("H21: what is not there is not_found, whatever the method", async () => {
    for (const path of ["/api", "/api/", "/api/nothing", "/api/tenant/x", "/api/conversations/x/y/z", "/api/about/"]) {
      for (const method of ["GET", "PUT", "POST", "DELETE", "OPTIONS"]) {
        const answer = await call(method, path);
        expect(answer, `${method} ${path}`).toMatchObject({
          status: 404,
          body: { code: "not_found", remedy: "give_up", detail: {} },
        });
      }
    }
  });

  test("H20: a bug is answered by a reference, which the trace has too, and by nothing of the bug", async () => {
    const errors = silence();
    const DIRECTORY = {
      prepare: () => {
        throw new RangeError("Anna's secret");
      },
    };
    const owner = await signUp();
    const { status, body, text } = await call("GET", "/api/tenant", {
      token: owner.token,
      env: { ...env, DIRECTORY } as never,
    });
    expect({ status, code: body.code, remedy: body.remedy }).toEqual({
      status: 500,
      code: "internal",
      remedy: "retry",
    });
    const lines = errors.mock.calls.map(([line]) => line);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0])).toMatchObject({
      event: "request",
      reference: body.detail.reference,
      error: "RangeError",
    });
    expect(text + lines[0]).not.toMatch(/secret|Anna| {4}at /);
    expect(JSON.parse(lines[0]).at).toMatch(/^app\.test\.ts:\d+:\d+$/);
  });

  test("H20: an object's refusal crosses to the caller with its code", async () => {
    const owner = await signUp();
    const refuse = () => Promise.reject(Object.assign(new Error("quota"), { code: "quota", detail: { left: 0 } }));
    const MAILBOXES = { getByName: () => ({ stock: refuse }) };
    const answer = await call("POST", "/api/key-packages", {
      token: owner.token,
      env: { ...env, MAILBOXES } as never,
      body: { packages: [{ bytes: "AAAA", expiresAt: 1, lastResort: true }] },
    });
    expect(answer).toMatchObject({ status: 507, body: { code: "quota", detail: { left: 0 } } });
  });

  test("H18: with D1 down the answer is unavailable, and tells nothing of D1", async () => {
    const owner = await signUp();
    silence();
    const answer = await call("GET", "/api/tenant", {
      token: owner.token,
      env: brokenDirectory("D1_ERROR: no such table: t"),
    });
    expect(answer).toMatchObject({ status: 503, body: { code: "unavailable", remedy: "retry" } });
    expect(answer.text).not.toMatch(/D1|table/);
  });

  test("H20: every refusal is of the one table", () => {
    for (const { status, remedy } of Object.values(REFUSALS)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(["retry", "catch_up", "sign_in", "update", "give_up"]).toContain(remedy);
    }
  });
});

test("H21: anybody may ask for the release and the protocols this server speaks", async () => {
  const [text] = Object.values(
    import.meta.glob<string>("../../package.json", { query: "?raw", import: "default", eager: true }),
  );
  const { version } = JSON.parse(text ?? "{}");
  expect(await call("GET", "/api/about")).toMatchObject({
    status: 200,
    body: { product: "kuvert", release: version, protocols: [...PROTOCOL_VERSIONS] },
  });
});

describe("calls of objects", () => {
  const marked = (mark: string) => Object.assign(new Error("x"), { [mark]: true });

  test("H20: a retryable failure is tried again with a stub of its own", async () => {
    const call = vi.fn().mockRejectedValueOnce(marked("retryable")).mockResolvedValueOnce("done");
    await expect(reach(call)).resolves.toBe("done");
    expect(call).toHaveBeenCalledTimes(2);
  });

  test("H20: one that stays so is unavailable", async () => {
    silence();
    const call = vi.fn().mockRejectedValue(marked("retryable"));
    await expect(reach(call)).rejects.toMatchObject({ code: "unavailable" });
    expect(call).toHaveBeenCalledTimes(3);
  });

  test("H20: an overloaded object is left alone", async () => {
    const call = vi.fn().mockRejectedValue(Object.assign(marked("retryable"), { overloaded: true }));
    await expect(reach(call)).rejects.toMatchObject({ code: "unavailable", detail: { retryAfter: 5_000 } });
    expect(call).toHaveBeenCalledTimes(1);
  });

  test("H20: a bug in an object stays a bug", async () => {
    const call = vi.fn().mockRejectedValue(new TypeError("x"));
    await expect(reach(call)).rejects.toBeInstanceOf(TypeError);
    expect(call).toHaveBeenCalledTimes(1);
  });
});

describe("bodies", () => {
  const post = (body: BodyInit, headers = {}) => fetchWorker("/api/challenges", { method: "POST", body, headers });

  test("H16: one byte too many is refused before it is parsed, announced or not", async () => {
    const parse = vi.spyOn(JSON, "parse");
    const big = new Uint8Array(LIMITS.bodyBytes + 1).fill(32);
    expect((await post(big)).status).toBe(413);
    const unannounced = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 9; n++) controller.enqueue(new Uint8Array(LIMITS.bodyBytes / 8));
        controller.close();
      },
    });
    const response = await post(unannounced);
    expect(response.status).toBe(413);
    expect(parse).not.toHaveBeenCalled();
    expect(await response.json()).toMatchObject({ code: "too_large" });
  });

  test("H16: the largest allowed body is read", async () => {
    const { tenant, device } = { tenant: newId(), device: newId() };
    const body = JSON.stringify({ tenant, device }).padEnd(LIMITS.bodyBytes, " ");
    expect((await post(body)).status).toBe(200);
  });
});

describe("headers", () => {
  test("H21: no answer of the API is kept anywhere", async () => {
    const owner = await signUp();
    const answers = [
      await call("GET", "/api/about"),
      await call("GET", "/api/tenant", owner),
      await call("GET", "/api/tenant"),
      await call("GET", "/api/nothing"),
      await call("DELETE", `/api/devices/${owner.device}`, owner),
    ];
    for (const { headers } of answers) {
      expect(Object.fromEntries(headers)).toMatchObject({
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "strict-transport-security": expect.stringContaining("max-age=63072000"),
      });
    }
  });
});

describe("the browser client's files", () => {
  const page = (status = 200, type = "text/html; charset=utf-8") => {
    const headers = { "content-type": type, "cache-control": "public, max-age=0", etag: '"1"' };
    const fetch = vi.fn(async () => new Response(status === 304 ? null : "content", { status, headers }));
    return { fetch, env: { ...env, ASSETS: { fetch } } as never };
  };
  const get = (path: string, environment: never, method = "GET") => fetchWorker(path, { method }, environment);

  test.each(["/", "/join", "/conversations/x", "/assets/app-1.js", "/apis", "/favicon.svg"])(
    "H22: %s carries the strict headers",
    async (path) => {
      const { env } = page(200, path.endsWith(".js") ? "text/javascript" : undefined);
      const { headers } = await get(path, env);
      const policy = Object.fromEntries(
        (headers.get("content-security-policy") ?? "")
          .split("; ")
          .map((line) => [line.split(" ")[0], line.split(" ").slice(1)]),
      );
      expect(policy).toEqual({
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'"],
        "manifest-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'none'"],
        "base-uri": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["kuvert"],
      });
      expect(Object.fromEntries(headers)).toMatchObject({
        "strict-transport-security": "max-age=63072000; includeSubDomains; preload",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
        "cross-origin-resource-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "permissions-policy": expect.stringMatching(
          /microphone=\(\), .*camera=\(self\), .*publickey-credentials-get=\(self\)/,
        ),
      });
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    },
  );

  test("H23: hashed files are kept for good, the page is asked for anew each time", async () => {
    const cache = async (path: string, status: number, type?: string) =>
      (await get(path, page(status, type).env)).headers.get("cache-control");
    expect(await cache("/assets/app-1.js", 200, "text/javascript")).toBe("public, max-age=31536000, immutable");
    expect(await cache("/", 200)).toBe("no-cache");
    expect(await cache("/", 304)).toBe("no-cache");
    expect(await cache("/assets/app-1.js", 404, "text/plain")).toBe("no-cache");
  });

  test("H23: a file of an older build is absent, never the page under a script's name", async () => {
    const response = await get("/assets/old-0.js", page().env);
    expect(response.status).toBe(404);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("H23: nothing but reading reaches the files", async () => {
    const { env, fetch } = page();
    for (const method of ["POST", "PUT", "DELETE"]) expect((await get("/", env, method)).status).toBe(404);
    expect(fetch).not.toHaveBeenCalled();
    expect((await get("/", env, "HEAD")).status).toBe(200);
  });
});

test("H26: no name, token, secret, key or address is ever traced", async () => {
  const lines: unknown[][] = [];
  for (const level of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, level).mockImplementation((...line: unknown[]) => void lines.push(line));
  }
  const owner = await signUp();
  const member = await join(owner, "member", "Marked Name");
  const invite = await newInvite();
  await call("POST", "/api/invites", { token: owner.token, body: invite.body });
  const down = brokenDirectory(`D1_ERROR: UNIQUE constraint failed near 'Marked Name' ${invite.secret}`);
  const headers = { "cf-connecting-ip": "203.0.113.99" };
  await call("POST", "/api/invites/look", { body: { invite: invite.id, secret: invite.secret }, env: down, headers });
  await call("GET", "/api/members", { token: member.token, env: down, headers });
  await signIn(member, { env: down, headers });
  const broken = { getByName: () => ({ fetch: () => Promise.reject(new Error(`Marked Name ${member.token}`)) }) };
  const path = `/api/conversations/${newId<ConversationId>()}/socket`;
  await openSocket(path, member.token, { env: { ...env, CONVERSATIONS: broken } as never });
  const traced = JSON.stringify(lines);
  expect(lines.length).toBeGreaterThanOrEqual(4);
  for (const marked of [
    "Marked",
    "Name",
    member.token,
    invite.secret,
    invite.body.secretHash,
    "203.0.113",
    "constraint",
  ]) {
    expect(traced).not.toContain(marked);
  }
  for (const key of [member.identity.publicKey, member.deviceKey.publicKey]) expect(traced).not.toContain(key);
});
