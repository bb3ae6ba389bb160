// Proves the device's sign-in against a real HTTP server that checks real Ed25519 signatures, on a clock that only the test moves.

import { generateKeyPairSync, sign, verify } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDoor } from "../../client/engine/api.ts";
import { createTokens, type Tokens } from "../../client/engine/token.ts";
import { fromBase64url } from "../../schemas/bytes.ts";
import { signInPayload } from "../../schemas/credential.ts";
import { type DeviceId, newId, type TenantId } from "../../schemas/ids.ts";
import { json, type Loopback, startLoopback } from "../support/loopback.ts";
import { ManualClock } from "../support/manual-clock.ts";

const LIFE = 600_000;
const SERVER_AHEAD = 86_400_000;
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const [tenant, device] = [newId<TenantId>(), newId<DeviceId>()];

let server: Loopback;
let clock: ManualClock;
let tokens: Tokens;
let signIns: number;
/** Answers instead of the server when set. */
let refusal: { status: number; code: string } | undefined;

beforeEach(async () => {
  server = await startLoopback();
  clock = new ManualClock();
  [signIns, refusal] = [0, undefined];
  const issued = new Set<string>();
  server.answer = ({ path, body }, response) => {
    const asked = JSON.parse(body);
    if (refusal !== undefined) json(response, refusal.status, { code: refusal.code, remedy: "give_up", detail: {} });
    else if (path === "/api/challenges" && asked.tenant === tenant && asked.device === device) {
      const challenge = `challenge ${issued.size}`;
      issued.add(challenge);
      json(response, 200, { challenge, expiresAt: 1 });
    } else if (path === "/api/tokens" && issued.delete(asked.challenge) && good(asked)) {
      const now = clock.now() + SERVER_AHEAD;
      json(response, 200, { token: `token-${++signIns}`, now, expiresAt: now + LIFE });
    } else json(response, 401, { code: "unauthenticated", remedy: "sign_in", detail: {} });
  };
  tokens = createTokens({
    door: createDoor({ server: server.url }),
    tenant,
    device,
    sign: (payload) => sign(null, payload, privateKey),
    clock,
  });
});
afterEach(() => server.stop());

const good = (asked: { challenge: string; signature: string }): boolean =>
  verify(null, signInPayload(asked.challenge), publicKey, fromBase64url(asked.signature) ?? new Uint8Array());

/** Waits until `token` is handed out. */
async function handedOut(token: string): Promise<void> {
  while ((await tokens.get()) !== token) await new Promise((resolve) => setImmediate(resolve));
}

test("N16: a device signs in with its key alone, and once for as long as the token lives", async () => {
  expect(server.asked).toEqual([]);
  expect(await tokens.get()).toBe("token-1");
  clock.advance(LIFE * 0.8 - 1);
  expect(await tokens.get()).toBe("token-1");
  expect(server.asked.map(({ path }) => path)).toEqual(["/api/challenges", "/api/tokens"]);
});

test("N16: callers at the same time share one sign-in", async () => {
  expect(await Promise.all(Array.from({ length: 50 }, () => tokens.get()))).toEqual(Array(50).fill("token-1"));
  expect(signIns).toBe(1);
});

test("N17: from 80 % of its life on a token is renewed on the side, while the old one is still handed out", async () => {
  await tokens.get();
  clock.advance(LIFE * 0.8);
  expect(await Promise.all([tokens.get(), tokens.get()])).toEqual(["token-1", "token-1"]);
  await handedOut("token-2");
  expect(signIns).toBe(2);
});

test("N17: a renewal that fails is tried again later, and its failure is told only when the life has ended", async () => {
  await tokens.get();
  refusal = { status: 503, code: "unavailable" };
  clock.advance(LIFE * 0.8);
  expect(await tokens.get()).toBe("token-1");
  while (server.asked.length < 3) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(LIFE * 0.2 - 1);
  expect(await tokens.get()).toBe("token-1");
  clock.advance(1);
  await expect(tokens.get()).rejects.toMatchObject({ code: "unavailable" });
  refusal = undefined;
  expect(await tokens.get()).toBe("token-2");
});

test("N17: a token whose life has ended is never handed out, however wrong this machine's clock is", async () => {
  await tokens.get();
  clock.advance(LIFE);
  expect(await tokens.get()).toBe("token-2");
});

test("N18: a dropped token is replaced; dropping an older one changes nothing", async () => {
  expect(await tokens.get()).toBe("token-1");
  tokens.drop("token-1");
  expect(await tokens.get()).toBe("token-2");
  tokens.drop("token-1");
  expect(await tokens.get()).toBe("token-2");
  expect(signIns).toBe(2);
});

test("N18: the token that sign-up answered with is used until its own end", async () => {
  tokens.adopt({ token: "first", now: 5_000, expiresAt: 5_000 + LIFE });
  expect(await tokens.get()).toBe("first");
  expect(signIns).toBe(0);
  clock.advance(LIFE);
  expect(await tokens.get()).toBe("token-1");
});

test.for([
  { status: 403, code: "device_revoked" },
  { status: 403, code: "tenant_suspended" },
  { status: 429, code: "rate_limited" },
])("N18: a sign-in refused as $code says so to every caller, and the next one asks again", async (no) => {
  refusal = no;
  const outcomes = await Promise.allSettled([tokens.get(), tokens.get()]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: "rejected", reason: { code: no.code } });
  expect(server.asked.length).toBe(1);
  refusal = undefined;
  expect(await tokens.get()).toBe("token-1");
});

test("N18: a wrong key does not sign in", async () => {
  const { privateKey: other } = generateKeyPairSync("ed25519");
  const door = createDoor({ server: server.url });
  const forged = createTokens({ door, tenant, device, sign: (payload) => sign(null, payload, other), clock });
  await expect(forged.get()).rejects.toMatchObject({ code: "unauthenticated" });
});
