// Bodies nobody sends by accident, by the thousand: every answer is a documented refusal, and what was refused has changed nothing.

import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { REFUSALS } from "../../schemas/refusal.ts";
import {
  call,
  env,
  fetchWorker,
  join,
  newcomer,
  newInvite,
  type Person,
  signUp,
  signupBody,
} from "./support/people.ts";

interface Target {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly token?: string;
}

/** No limits, so that the fuzz reaches what is behind them. */
const unlimited = { limit: async () => ({ success: true }) };
const open = {
  ...env,
  SIGNUP_LIMIT: unlimited,
  INVITE_LIMIT: unlimited,
  SIGN_IN_LIMIT: unlimited,
  API_LIMIT: unlimited,
};

const TABLES = ["tenants", "invites", "members", "devices", "conversations", "participants", "shares"];
const state = async () => {
  const rows = await env.DIRECTORY.batch(TABLES.map((table) => env.DIRECTORY.prepare(`SELECT * FROM ${table}`)));
  return JSON.stringify(rows.map(({ results }) => results));
};

let targets: readonly Target[];
let owner: Person;

beforeAll(async () => {
  owner = await signUp();
  const { token } = owner;
  const member = await join(owner);
  const [invite, other] = [await newInvite({ uses: 1_000 }), await newInvite()];
  await call("POST", "/api/invites", { token, body: invite.body });
  const stranger = await newcomer(newId<TenantId>());
  const joiner = await newcomer(owner.tenant);
  const conversation = newId();
  await call("POST", "/api/conversations", { token, body: { id: conversation, members: [] } });
  const { body } = await call("POST", "/api/challenges", { body: { tenant: owner.tenant, device: owner.device } });
  const packages = [{ bytes: toBase64url(randomBytes(40)), expiresAt: Date.now() + 60_000, lastResort: false }];
  const secret = toBase64url(randomBytes(32));
  const next = { unlockHash: secret, share: secret, verifierHash: null };
  targets = [
    { method: "POST", path: "/api/tenants", body: signupBody(stranger) },
    {
      method: "POST",
      path: "/api/members",
      body: { invite: invite.id, secret: invite.secret, member: joiner.introduction },
    },
    { method: "POST", path: "/api/invites/look", body: { invite: invite.id, secret: invite.secret } },
    { method: "POST", path: "/api/challenges", body: { tenant: owner.tenant, device: owner.device } },
    {
      method: "POST",
      path: "/api/tokens",
      body: { challenge: body.challenge, signature: toBase64url(randomBytes(64)) },
    },
    { method: "POST", path: "/api/shares/open", body: { secret, verifier: null } },
    { method: "POST", path: "/api/shares/change", body: { secret, share: secret, next } },
    { method: "PATCH", path: "/api/tenant", body: { policy: DEFAULT_POLICY }, token },
    { method: "POST", path: "/api/invites", body: other.body, token },
    { method: "PATCH", path: `/api/members/${member.member}`, body: { role: "admin" }, token },
    { method: "POST", path: "/api/key-packages", body: { packages }, token },
    { method: "POST", path: "/api/conversations", body: { id: newId(), members: [member.member] }, token },
    { method: "POST", path: `/api/conversations/${conversation}/members`, body: { member: member.member }, token },
  ];
});

async function send({ method, path, token }: Target, body: BodyInit): Promise<{ status: number; code: string | null }> {
  const headers = {
    "content-type": "application/json",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const response = await fetchWorker(path, { method, body, headers }, open);
  const text = await response.text();
  const answer = text === "" ? null : JSON.parse(text);
  if (response.status >= 300) {
    expect(Object.keys(REFUSALS), text).toContain(answer.code);
    expect(REFUSALS[answer.code as keyof typeof REFUSALS].status).toBe(response.status);
  }
  expect(response.status, `${method} ${path} ${text}`).toBeLessThan(500);
  return { status: response.status, code: answer?.code ?? null };
}

/** JSON text that no schema would write, put where a value stood. */
const evil = fc.oneof(
  fc.constantFrom(
    ...["null", "true", "-0", "1e400", "-1e400", "9007199254740993", "0.1", "[]", "{}", '""', '"\\u0000"', '"\\ud800"'],
    ...[
      '"../../x"',
      '"__proto__"',
      '{"__proto__":{"role":"owner"}}',
      '{"constructor":{"prototype":1}}',
      '{"toString":1}',
    ],
    ...[
      '" "',
      '"\\u202e"',
      `"${"x".repeat(5_000)}"`,
      `"${"A".repeat(22)}"`,
      `"${"-".repeat(43)}"`,
      "[[[[]]]]",
      "NaN",
      "undefined",
    ],
  ),
  fc.json({ maxDepth: 3 }),
  fc.string({ unit: "binary", maxLength: 200 }).map((text) => JSON.stringify(text)),
  fc.double().map(String),
);

/** Every place in a JSON value, as a path of keys. */
function places(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

/** JSON text of `value` with `edit` applied to the text at `path`; undefined leaves the key out. */
function write(
  value: unknown,
  path: readonly string[],
  edit: (text: string) => string | undefined,
): string | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return edit(JSON.stringify(value));
  const parts = Object.entries(value as object).flatMap(([name, inner]) => {
    const text = name === key ? write(inner, rest, edit) : JSON.stringify(inner);
    if (text === undefined) return [];
    return [Array.isArray(value) ? text : `${JSON.stringify(name)}:${text}`];
  });
  return Array.isArray(value) ? `[${parts}]` : `{${parts}}`;
}

const mutation = fc.oneof(
  evil.map((text) => () => text),
  fc.constant(() => undefined),
  fc
    .tuple(fc.constantFrom("extra", "__proto__", "constructor", "role", "id"), evil)
    .map(([key, text]) => (old: string) => {
      return old.startsWith("{")
        ? old.replace(/}$/, `${old === "{}" ? "" : ","}"${key}":${text}}`)
        : `[${old},${text}]`;
    }),
);

describe("malformed bodies", () => {
  test("H16: structure-aware: a value replaced, left out or added anywhere", { timeout: 60_000 }, async () => {
    vi.spyOn(console, "error").mockReturnValue();
    let refused = 0;
    const pick = fc.tuple(fc.nat(), fc.nat(), mutation);
    await fc.assert(
      fc.asyncProperty(pick, async ([which, where, edit]) => {
        const target = targets[which % targets.length] as Target;
        const spots = places(target.body);
        const text = write(target.body, spots[where % spots.length] ?? [], edit) ?? "";
        const { status } = await send(target, text);
        if (status >= 300) refused++;
      }),
      { numRuns: 2_500, seed: 20_261_122 },
    );
    expect(refused).toBeGreaterThan(1_000);
  });

  test("H16: cut off at every byte it is malformed, and nothing is kept of it", { timeout: 60_000 }, async () => {
    const before = await state();
    for (const target of targets) {
      const text = JSON.stringify(target.body);
      const step = Math.max(1, Math.floor(text.length / 40));
      for (let length = 0; length < text.length; length += step) {
        expect((await send(target, text.slice(0, length))).code).toBe("malformed");
      }
    }
    expect(await state()).toBe(before);
  });

  test("H16: raw bytes, flipped bits and broken UTF-8", { timeout: 60_000 }, async () => {
    const flip = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 7 }));
    await fc.assert(
      fc.asyncProperty(flip, fc.uint8Array({ maxLength: 300 }), async ([which, where, bit], noise) => {
        const target = targets[which % targets.length] as Target;
        const bytes = new TextEncoder().encode(JSON.stringify(target.body));
        const at = where % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        await send(target, bytes);
        expect((await send(target, noise)).status).toBeGreaterThanOrEqual(400);
      }),
      { numRuns: 400, seed: 20_261_122 },
    );
  });

  test("H16: as deep, as long and as odd as it gets", { timeout: 60_000 }, async () => {
    const before = await state();
    const deep = "[".repeat(100_000);
    const odd = [
      deep,
      deep + "]".repeat(100_000),
      '{"a":'.repeat(50_000),
      `{"policy":${deep}}`,
      `[${"0,".repeat(200_000)}0]`,
      `{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":0`)}}`,
      "﻿{}",
      "\0",
      '{"tenant":1,"tenant":2}',
      "x".repeat(524_288),
    ];
    for (const target of targets) {
      for (const text of odd) expect((await send(target, text)).code).toBe("malformed");
    }
    expect(await state()).toBe(before);
  });

  test("H16: afterwards everybody else is served as before", async () => {
    expect((await call("GET", "/api/members", owner)).status).toBe(200);
    expect((await signUp()).token).toEqual(expect.any(String));
  });
});

describe("malformed addresses", () => {
  const wild = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.constantFrom(
      "..",
      "%2e%2e",
      "%00",
      "%",
      "%ff",
      "__proto__",
      "constructor",
      "A".repeat(22),
      "A".repeat(5_000),
      "'",
      "*",
      ":id",
    ),
  );

  test("H16: ids, queries and headers of any kind are refused by the table", { timeout: 60_000 }, async () => {
    const shapes: [string, (id: string) => string][] = [
      ["DELETE", (id) => `/api/invites/${id}`],
      ["DELETE", (id) => `/api/members/${id}`],
      ["DELETE", (id) => `/api/devices/${id}`],
      ["GET", (id) => `/api/devices?member=${id}`],
      ["POST", (id) => `/api/members/${id}/key-packages`],
      ["DELETE", (id) => `/api/conversations/${owner.device}/members/${id}`],
      ["GET", (id) => `/api/conversations/${id}/socket`],
    ];
    const before = await state();
    await fc.assert(
      fc.asyncProperty(fc.nat(), wild, fc.boolean(), async (which, text, encoded) => {
        const [method, path] = shapes[which % shapes.length] as (typeof shapes)[number];
        const id = encoded ? encodeURIComponent(text.toWellFormed()) : text.replaceAll(/[#?\s\\/]/g, "");
        const headers = { authorization: `Bearer ${owner.token}` };
        const response = await fetchWorker(path(id || "x"), { method, headers }, open);
        expect(response.status).toBeLessThan(500);
        expect(response.status).toBeGreaterThanOrEqual(400);
        expect(Object.keys(REFUSALS)).toContain(((await response.json()) as { code: string }).code);
      }),
      { numRuns: 700, seed: 20_261_122 },
    );
    expect(await state()).toBe(before);
  });
});
