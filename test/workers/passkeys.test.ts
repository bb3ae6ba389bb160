// Passkeys through their routes, on the real runtime, with an authenticator in software: what makes one, what one opens, and what nobody learns.

import { beforeAll, describe, expect, test, vi } from "vitest";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { newId, type PasskeyId, type RecoveryId, type VaultId } from "../../schemas/ids.ts";
import { passkeyUser } from "../../schemas/passkey.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { type Authenticator, type Lies, newAuthenticator } from "./support/authenticator.ts";
import {
  type Answer,
  call,
  env,
  fetchWorker,
  join,
  newDevice,
  type Person,
  signIn,
  signUp,
  suspend,
} from "./support/people.ts";
import { enrol, newPhrase } from "./support/phrases.ts";

const MINUTE = 60_000;

/** Gives a person a new phrase. */
async function phrase(person: Person): Promise<RecoveryId> {
  const made = await newPhrase();
  expect((await enrol(person, made)).status).toBe(204);
  return made.lookup;
}

const challengeFor = async (person: Person): Promise<string> =>
  (await call("POST", "/api/passkeys/challenges", person)).body.challenge;

interface Making {
  readonly lookup: RecoveryId;
  readonly device: Authenticator;
  readonly challenge?: string;
  readonly lies?: Lies;
  readonly id?: PasskeyId;
}

async function bodyOf(person: Person, { lookup, device, challenge, lies, id = newId<PasskeyId>() }: Making) {
  const made = await device.register(challenge ?? (await challengeFor(person)), lies);
  return { id, name: "Telefon", lookup, box: "AAAA", ...made };
}

async function add(person: Person, making: Making): Promise<Answer> {
  return call("POST", "/api/passkeys", { token: person.token, body: await bodyOf(person, making) });
}

const ask = async (): Promise<string> => (await call("POST", "/api/recovery/passkey/challenges")).body.challenge;
const answer = (body: unknown): Promise<Answer> => call("POST", "/api/recovery/passkey/tokens", { body });
const recover = async (device: Authenticator, lies?: Lies): Promise<Answer> =>
  answer(await device.assert(await ask(), lies));

const passkeysOf = async (person: Person) => (await call("GET", "/api/passkeys", person)).body.passkeys;

/** Somebody with a phrase and one passkey. */
async function keyed(options?: Parameters<typeof newAuthenticator>[1]) {
  const owner = await signUp();
  const lookup = await phrase(owner);
  const device = await newAuthenticator(passkeyUser(owner), options);
  const id = newId<PasskeyId>();
  expect((await add(owner, { lookup, device, id })).status).toBe(204);
  return { owner, lookup, device, id };
}

describe("entering a passkey", () => {
  test("Y10: keeps its credential, public key, counter, name and box, and lists it for its member alone", async () => {
    const { owner, lookup, device, id } = await keyed();
    const colleague = await join(owner);
    expect(await passkeysOf(owner)).toEqual([
      { id, name: "Telefon", credential: device.credential, createdAt: expect.any(Number), usedAt: null },
    ]);
    expect(await passkeysOf(colleague)).toEqual([]);
    const row = await env.DIRECTORY.prepare("SELECT * FROM passkeys WHERE id = ?").bind(id).first();
    expect(row).toEqual({
      id,
      tenant_id: owner.tenant,
      member_id: owner.member,
      lookup,
      credential: device.credential,
      public_key: expect.any(String),
      counter: 1,
      box: "AAAA",
      name: "Telefon",
      created_at: expect.any(Number),
      used_at: null,
    });
  });

  test("Y10: may be repeated after a lost answer; the same id or credential with anything else is a conflict", async () => {
    const owner = await signUp();
    const [lookup, device] = [await phrase(owner), await newAuthenticator(passkeyUser(owner))];
    const body = await bodyOf(owner, { lookup, device });
    const send = (changed: object) =>
      call("POST", "/api/passkeys", { token: owner.token, body: { ...body, ...changed } });
    for (const _ of [1, 2]) expect((await send({})).status).toBe(204);
    for (const changed of [{ box: "AAAB" }, { id: newId() }]) {
      expect(await send(changed)).toMatchObject({ status: 409, body: { code: "conflict" } });
    }
    const other = await newAuthenticator(passkeyUser(owner));
    expect((await add(owner, { lookup, device: other, id: body.id })).status).toBe(409);
    expect(await passkeysOf(owner)).toHaveLength(1);
  });

  test.each<[string, Lies, string]>([
    ["another origin", { origin: "https://kuvert.example" }, "origin_forbidden"],
    ["another relying party", { rpId: "kuvert.example" }, "forbidden"],
    ["nobody verified", { isUnverified: true }, "forbidden"],
    ["another ceremony", { type: "webauthn.get" }, "forbidden"],
    ["an attestation by certificate", { format: "packed", attestation: { alg: -7, x5c: [] } }, "forbidden"],
    ["an attestation of another format", { format: "fido-u2f" }, "forbidden"],
  ])("Y10: is refused with %s", async (_, lies, code) => {
    const owner = await signUp();
    const [lookup, device] = [await phrase(owner), await newAuthenticator(passkeyUser(owner))];
    expect((await add(owner, { lookup, device, lies })).body.code).toBe(code);
    expect(await passkeysOf(owner)).toEqual([]);
  });

  test("Y10: takes a challenge made for this member and for this, within five minutes", async () => {
    const owner = await signUp();
    const [colleague, lookup] = [await join(owner), await phrase(owner)];
    const device = await newAuthenticator(passkeyUser(owner));
    const codeOf = async (challenge: string) => (await add(owner, { lookup, device, challenge })).body?.code;
    expect(await codeOf(await challengeFor(colleague))).toBe("forbidden");
    expect(await codeOf(await ask())).toBe("unauthenticated");
    expect(await codeOf("made up")).toBe("unauthenticated");
    const challenge = await challengeFor(owner);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6 * MINUTE });
    const late = await codeOf(challenge);
    vi.useRealTimers();
    expect(late).toBe("token_expired");
  });

  test("Y10: a credential that is not the one that was made, and clients' data that are none, enter nothing", async () => {
    const owner = await signUp();
    const [lookup, device] = [await phrase(owner), await newAuthenticator(passkeyUser(owner))];
    const body = await bodyOf(owner, { lookup, device });
    const codeOf = async (changed: object) =>
      (await call("POST", "/api/passkeys", { token: owner.token, body: { ...body, ...changed } })).body.code;
    expect(await codeOf({ credential: toBase64url(randomBytes(16)) })).toBe("forbidden");
    expect(await codeOf({ attestation: "AAAA" })).toBe("forbidden");
    expect(await codeOf({ clientData: "AAAA" })).toBe("malformed");
    expect(await codeOf({ box: toBase64url(new Uint8Array(257)) })).toBe("malformed");
    expect(await codeOf({ name: "" })).toBe("malformed");
    expect(await passkeysOf(owner)).toEqual([]);
  });

  test("Y10: a member has at most ten; removing one makes room", async () => {
    const { owner, lookup, id } = await keyed();
    await env.DIRECTORY.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?4 - 1)
       INSERT INTO passkeys SELECT ?1 || i, ?2, ?1, ?3, 'c' || ?1 || i, 'k', 0, 'b', 'n', 1, NULL FROM n`,
    )
      .bind(owner.member, owner.tenant, lookup, LIMITS.passkeysPerMember)
      .run();
    const device = await newAuthenticator(passkeyUser(owner));
    expect(await add(owner, { lookup, device })).toMatchObject({ status: 507, body: { code: "quota" } });
    expect((await call("DELETE", `/api/passkeys/${id}`, owner)).status).toBe(204);
    expect((await add(owner, { lookup, device })).status).toBe(204);
  });
});

describe("coming back by a passkey", () => {
  const kinds = [
    ["ES256 with a counter", { algorithm: "ES256", counts: true }],
    ["ES256 without", { algorithm: "ES256", counts: false }],
    ["EdDSA with a counter", { algorithm: "EdDSA", counts: true }],
  ] as const;
  test.each(kinds)("Y11: tells its holder whose it is and gives the box, time and again (%s)", async (_, options) => {
    const { owner, device } = await keyed(options);
    for (const __ of [1, 2]) {
      const { status, body } = await recover(device);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        tenant: { id: owner.tenant, name: "Backhaus", residency: "eu" },
        member: { id: owner.member, name: "Olga", role: "owner", identityKey: owner.identity.publicKey },
        box: "AAAA",
      });
      expect(body.expiresAt - body.now).toBeLessThanOrEqual(10 * MINUTE);
    }
    expect(await passkeysOf(owner)).toMatchObject([{ usedAt: expect.any(Number) }]);
  });

  let keep: Awaited<ReturnType<typeof keyed>>;
  beforeAll(async () => {
    keep = await keyed();
  });
  const stranger = async () => newAuthenticator(passkeyUser(keep.owner));
  test.each<[string, () => Promise<unknown>]>([
    [
      "another key",
      async () => ({ ...(await (await stranger()).assert(await ask())), credential: keep.device.credential }),
    ],
    ["another user", async () => ({ ...(await keep.device.assert(await ask())), user: "AAAA" })],
    ["another relying party", async () => keep.device.assert(await ask(), { rpId: "kuvert.example" })],
    ["nobody verified", async () => keep.device.assert(await ask(), { isUnverified: true })],
    ["another ceremony", async () => keep.device.assert(await ask(), { type: "webauthn.create" })],
    ["a counter that stands still", async () => keep.device.assert(await ask(), { counter: 1 })],
    [
      "bytes that are no authenticator's",
      async () => ({ ...(await keep.device.assert(await ask())), authenticatorData: "AAAA" }),
    ],
    ["a signature that is none", async () => ({ ...(await keep.device.assert(await ask())), signature: "AAAA" })],
  ])("Y11: %s is answered like a passkey nobody has, byte for byte", async (_, wrong) => {
    const unknown = await recover(await stranger());
    const refused = await answer(await wrong());
    expect(refused.status).toBe(404);
    expect(refused.text).toBe(unknown.text);
  });

  test("Y11: the challenge is ours, for this, at most five minutes old, and given at this origin", async () => {
    const { owner, device } = await keyed();
    const codeOf = async (challenge: string, lies?: Lies) =>
      (await answer(await device.assert(challenge, lies))).body.code;
    expect(await codeOf(await challengeFor(owner))).toBe("unauthenticated");
    expect(await codeOf("made up")).toBe("unauthenticated");
    expect(await codeOf(await ask(), { origin: "https://kuvert.example" })).toBe("origin_forbidden");
    const challenge = await ask();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6 * MINUTE });
    const late = await codeOf(challenge);
    vi.useRealTimers();
    expect(late).toBe("token_expired");
  });

  test("Y11: tries are limited by address and by passkey, whichever comes first", async () => {
    const { device } = await keyed();
    const keys: string[] = [];
    const limited = {
      ...env,
      SIGN_IN_LIMIT: { limit: async ({ key }: { key: string }) => ({ success: keys.push(key) < 9 }) },
    };
    const attempt = async () => {
      const { body } = await call("POST", "/api/recovery/passkey/challenges", { env: limited });
      if (body.code) return body.code;
      const tried = { body: await device.assert(body.challenge), env: limited };
      return (await call("POST", "/api/recovery/passkey/tokens", tried)).body.code ?? "in";
    };
    expect([await attempt(), await attempt(), await attempt()]).toEqual(["in", "in", "rate_limited"]);
    expect(keys).toContain(`passkey ${device.credential}`);
  });

  test("Y11: its token reads the sealed backup and lets one device in, as that of a phrase, and nothing else", async () => {
    const { owner, device } = await keyed();
    const id = newId<VaultId>();
    const headers = { authorization: `Bearer ${owner.token}` };
    await fetchWorker(`/api/vault/backup/${id}`, { method: "PUT", headers, body: randomBytes(50) });
    const { token } = (await recover(device)).body;
    expect((await call("GET", "/api/recovery/backup", { token })).body.objects).toMatchObject([{ id, size: 50 }]);
    for (const path of ["/api/members", "/api/devices", "/api/vault/backup", "/api/recovery", "/api/passkeys"]) {
      expect((await call("GET", path, { token })).status).toBe(401);
    }
    const [first, second] = [await newDevice(owner), await newDevice(owner)];
    const enter = (body: unknown) => call("POST", "/api/recovery/device", { token, body });
    expect((await enter({ device: first.device })).status).toBe(200);
    expect((await enter({ device: second.device })).status).toBe(409);
    expect((await signIn({ ...owner, device: first.device.id, deviceKey: first.deviceKey })).status).toBe(200);
  });

  test.each(kinds)(
    "Y12: an answer is taken once, and one to an older challenge not after it (%s)",
    async (_, options) => {
      const { device } = await keyed(options);
      const [older, newer] = [await ask(), await ask()];
      const given = await device.assert(newer);
      expect((await answer(given)).status).toBe(200);
      const [again, outdated] = [await answer(given), await answer(await device.assert(older))];
      // A counter that stands still is told from a wrong signature by nobody
      expect(again.status).toBe(options.counts ? 404 : 401);
      expect(outdated).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
      expect((await recover(device)).status).toBe(200);
    },
  );

  test.each(kinds)("Y12: of the same answer given many times at once exactly one is taken (%s)", async (_, options) => {
    const { device } = await keyed(options);
    const given = await device.assert(await ask());
    const answers = await Promise.all([1, 2, 3, 4].map(() => answer(given)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test("Y12: a copy of an authenticator that counts is refused once the other has counted on", async () => {
    const { device } = await keyed();
    expect((await recover(device, { counter: 40 })).status).toBe(200);
    expect((await recover(device, { counter: 12 })).status).toBe(404);
    expect((await recover(device, { counter: 41 })).status).toBe(200);
  });
});

describe("the end of a passkey", () => {
  test("Y13: a removed one opens nothing any more, nor does the token it has earned; only its member can remove it", async () => {
    const { owner, device, id } = await keyed();
    const [colleague, stranger] = [await join(owner, "admin"), await signUp()];
    const refusals = await Promise.all(
      [colleague, stranger].map((person) => call("DELETE", `/api/passkeys/${id}`, person)),
    );
    const absent = await call("DELETE", `/api/passkeys/${newId()}`, owner);
    expect(refusals.map(({ text }) => text)).toEqual([absent.text, absent.text]);
    expect(absent.body.code).toBe("not_found");
    const { token } = (await recover(device)).body;
    expect((await call("GET", "/api/recovery/backup", { token })).status).toBe(200);
    expect((await call("DELETE", `/api/passkeys/${id}`, owner)).status).toBe(204);
    expect((await call("GET", "/api/recovery/backup", { token })).status).toBe(401);
    expect((await recover(device)).status).toBe(404);
  });

  test("Y13: it goes when its phrase is replaced or dropped, and none can be entered beside the old one", async () => {
    const { owner, lookup, device } = await keyed();
    const { token } = (await recover(device)).body;
    const second = await phrase(owner);
    expect(await passkeysOf(owner)).toEqual([]);
    expect((await call("GET", "/api/recovery/backup", { token })).status).toBe(401);
    expect((await recover(device)).status).toBe(404);
    expect(await add(owner, { lookup, device })).toMatchObject({ status: 404, body: { code: "not_found" } });
    expect((await add(owner, { lookup: second, device })).status).toBe(204);
    expect((await recover(device)).status).toBe(200);
    await call("DELETE", "/api/recovery", owner);
    expect(await passkeysOf(owner)).toEqual([]);
    expect((await recover(device)).status).toBe(404);
  });

  test("Y13: enrolling the same phrase again, as after a lost answer, costs no passkey", async () => {
    const owner = await signUp();
    const same = await newPhrase();
    await enrol(owner, same);
    const device = await newAuthenticator(passkeyUser(owner));
    await add(owner, { lookup: same.lookup, device });
    expect((await enrol(owner, same)).status).toBe(204);
    expect((await recover(device)).status).toBe(200);
  });

  test("Y13: those of a removed member are gone, and those of a suspended tenant open nothing", async () => {
    const { owner, device } = await keyed();
    const member = await join(owner);
    const [lookup, own] = [await phrase(member), await newAuthenticator(passkeyUser(member))];
    await add(member, { lookup, device: own });
    await call("DELETE", `/api/members/${member.member}`, owner);
    expect((await recover(own)).status).toBe(404);
    const left = env.DIRECTORY.prepare("SELECT COUNT(*) AS n FROM passkeys WHERE member_id = ?").bind(member.member);
    expect(await left.first("n")).toBe(0);
    await suspend(owner.tenant);
    expect(await recover(device)).toMatchObject({ status: 403, body: { code: "tenant_suspended" } });
  });
});
