// The box beside a passkey, and what a device tells the server of it.

import { hkdfSync } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { describe, expect, test } from "vitest";
import type { AccountRecord } from "../../../client/engine/records.ts";
import { type BoxContent, type BoxKey, openBox, sealBox } from "../../../client/engine/recovery/passkey-box.ts";
import { askPasskeyChallenge, Passkeys, recoverByPasskey } from "../../../client/engine/recovery/passkeys.ts";
import { concat, fromBase64url, randomBytes, toBase64url, toHex, utf8 } from "../../../schemas/bytes.ts";
import { encodeCbor } from "../../../schemas/cbor.ts";
import { idBytes, type MemberId, newId, type RecoveryId, type TenantId } from "../../../schemas/ids.ts";
import { fromPasskeyChallenge, passkeyUser } from "../../../schemas/passkey.ts";
import { isRefusal } from "../../../schemas/refusal.ts";

const newContent = (): BoxContent => ({
  lookup: toBase64url(randomBytes(16)) as RecoveryId,
  backupKey: randomBytes(32),
});
const newKey = (): BoxKey => ({
  tenant: newId<TenantId>(),
  member: newId<MemberId>(),
  credential: toBase64url(randomBytes(16)),
  secret: randomBytes(32),
});

describe("box", () => {
  test("Y14: opens for the passkey and member it was sealed for, and is never the same twice", () => {
    const [key, content] = [newKey(), newContent()];
    const [first, second] = [sealBox(key, content), sealBox(key, content)];
    expect(openBox(key, first)).toEqual(content);
    expect(openBox(key, second)).toEqual(content);
    expect(toHex(first)).not.toBe(toHex(second));
  });

  test("Y14: its key comes of the passkey's secret by HKDF-SHA-256 alone, as Node computes it, and binds who and which", () => {
    const [key, content] = [newKey(), newContent()];
    const box = sealBox(key, content);
    const derived = new Uint8Array(hkdfSync("sha256", key.secret, "kuvert passkey 1", "box", 32));
    const binding = concat(utf8("kuvert passkey box 1\0"), encodeCbor([key.tenant, key.member, key.credential]));
    const opened = xchacha20poly1305(derived, box.subarray(1, 25), binding).decrypt(box.subarray(25));
    expect(toHex(opened)).toBe(toHex(concat(idBytes(content.lookup), content.backupKey)));
  });

  test.each<[string, Partial<BoxKey>]>([
    ["another tenant", { tenant: newId<TenantId>() }],
    ["another member", { member: newId<MemberId>() }],
    ["another credential", { credential: "AAAA" }],
    ["another secret", { secret: randomBytes(32) }],
  ])("Y14: stays shut for %s", (_, other) => {
    const key = newKey();
    expect(openBox({ ...key, ...other }, sealBox(key, newContent()))).toBeUndefined();
  });

  test("Y14: stays shut with any of its bits turned, cut short, or of another format", () => {
    const [key, content] = [newKey(), newContent()];
    const box = sealBox(key, content);
    for (let index = 0; index < box.length; index++) {
      const turned = box.slice();
      turned[index] = (turned[index] ?? 0) ^ 1;
      expect(openBox(key, turned)).toBeUndefined();
      expect(openBox(key, box.subarray(0, index))).toBeUndefined();
    }
  });
});

/** A server that remembers what it was told, and answers each path as it is told to. */
function fakeServer(answers: Readonly<Record<string, unknown>>) {
  const told: { path: string; body: string }[] = [];
  const send = async (url: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const { pathname } = new URL(String(url));
    const method = init?.method ?? "GET";
    told.push({ path: `${method} ${pathname}`, body: String(init?.body ?? "") });
    const answer = answers[`${method} ${pathname}`];
    if (isRefusal(answer)) throw answer;
    const [status, body] = Array.isArray(answer) ? (answer as [number, unknown]) : [200, answer];
    return new Response(body === undefined ? null : JSON.stringify(body), { status });
  };
  return { told, door: { server: "http://kuvert.test", fetch: send as typeof fetch } };
}

const tenant = { id: newId<TenantId>(), name: "Backhaus", residency: "eu" as const };
const member = { id: newId<MemberId>(), name: "Olga", role: "owner" as const };
const account = { tenant, member } as AccountRecord;
const tokens = { get: async () => "token", drop: () => undefined, adopt: () => undefined };
const credential = toBase64url(randomBytes(16));
const secret = toBase64url(randomBytes(32));
const answer = { credential, user: "AAAA", clientData: "AAAA", authenticatorData: "AAAA", signature: "AAAA", secret };
const unauthenticated = [401, { code: "unauthenticated", remedy: "sign_in", detail: {} }];

/** What the server has been told when a passkey was added. */
async function added(content: BoxContent) {
  const server = fakeServer({ "POST /api/passkeys": undefined });
  const passkeys = new Passkeys({ ...server.door, tokens, account: () => account, keys: () => content });
  await passkeys.add("Telefon", { credential, clientData: "AAAA", attestation: "AAAA", secret });
  return server.told;
}

const recovered = (box: string) => ({
  token: "recovery",
  expiresAt: 1,
  now: 0,
  tenant,
  member: { ...member, identityKey: "A".repeat(43) },
  box,
});
const boxOf = ([request]: { body: string }[]): string => JSON.parse(request?.body ?? "").box;

describe("passkeys", () => {
  test("Y14: the server is told neither the secret nor what is in the box", async () => {
    const content = newContent();
    const told = await added(content);
    const backupKey = toBase64url(content.backupKey);
    expect(told).toHaveLength(1);
    expect(JSON.parse(told[0]?.body ?? "")).toEqual({
      id: expect.any(String),
      name: "Telefon",
      lookup: content.lookup,
      box: expect.any(String),
      credential,
      clientData: "AAAA",
      attestation: "AAAA",
    });
    const server = fakeServer({ "POST /api/recovery/passkey/tokens": recovered(boxOf(told)) });
    await recoverByPasskey(server.door, answer);
    for (const { body } of [...told, ...server.told]) {
      for (const hidden of [secret, backupKey]) expect(body).not.toContain(hidden);
    }
  });

  test("Y14: what was put into the box comes out of it again; a box of another passkey is refused", async () => {
    const content = newContent();
    const box = boxOf(await added(content));
    const come = (given: string) =>
      recoverByPasskey(fakeServer({ "POST /api/recovery/passkey/tokens": recovered(given) }).door, answer);
    const { recovery, ...opened } = await come(box);
    expect(opened).toEqual(content);
    expect(recovery).toMatchObject({ tenant, now: 0 });
    const other = toBase64url(sealBox({ ...newKey(), credential }, content));
    await expect(come(other)).rejects.toMatchObject({ code: "forbidden", detail: { reason: "box" } });
    await expect(come("AAAA")).rejects.toMatchObject({ code: "forbidden" });
  });

  test("Y15: a token that is over asks for the passkey anew, nobody's words", async () => {
    const box = boxOf(await added(newContent()));
    const paths = { "POST /api/recovery/passkey/tokens": recovered(box), "GET /api/recovery/backup": unauthenticated };
    const server = fakeServer(paths);
    const { recovery } = await recoverByPasskey(server.door, answer);
    await expect(recovery.backup.list()).rejects.toMatchObject({ code: "token_expired" });
    expect(server.told.map(({ path }) => path)).toEqual(Object.keys(paths));
  });

  test("Y15: a secret that is none is refused before anything is sent", async () => {
    const server = fakeServer({});
    const passkeys = new Passkeys({ ...server.door, tokens, account: () => account, keys: newContent });
    const made = { credential, clientData: "AAAA", attestation: "AAAA" };
    for (const bad of ["", "AAAA", "not base64url!"]) {
      await expect(passkeys.add("x", { ...made, secret: bad })).rejects.toMatchObject({ code: "malformed" });
      await expect(recoverByPasskey(server.door, { ...answer, secret: bad })).rejects.toMatchObject({
        code: "malformed",
      });
    }
    expect(server.told).toEqual([]);
  });

  test("Y15: only a device that has the phrase's key offers to make one, and says which there are", async () => {
    const row = { id: newId(), name: "Telefon", credential, createdAt: 1, usedAt: null };
    const server = fakeServer({
      "GET /api/passkeys": { passkeys: [row] },
      "POST /api/passkeys/challenges": { challenge: "header.claims.signature", expiresAt: 1 },
      "POST /api/recovery/passkey/challenges": { challenge: "another.one.signed", expiresAt: 1 },
    });
    let keys: BoxContent | null = null;
    const passkeys = new Passkeys({ ...server.door, tokens, account: () => account, keys: () => keys });
    await expect(passkeys.offer()).rejects.toMatchObject({ code: "conflict", detail: { reason: "phrase" } });
    expect(server.told).toEqual([]);
    keys = newContent();
    const offer = await passkeys.offer();
    expect(offer).toMatchObject({ user: { name: "Olga, Backhaus" }, taken: [credential] });
    expect(fromPasskeyChallenge(offer.challenge)).toBe("header.claims.signature");
    expect(offer.user.id).toBe(passkeyUser({ tenant: tenant.id, member: member.id }));
    expect(fromBase64url(offer.user.id)).toHaveLength(32);
    expect(fromPasskeyChallenge(await askPasskeyChallenge(server.door))).toBe("another.one.signed");
  });
});
