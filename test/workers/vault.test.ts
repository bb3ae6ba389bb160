// The vault through its routes, on the real runtime's R2 and D1: whose it is, how much it holds, when its objects go.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { EXPIRES_AT_HEADER } from "../../schemas/api.ts";
import { randomBytes } from "../../schemas/bytes.ts";
import { newId, type VaultId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { mailboxStub } from "../../workers/residency.ts";
import { env, fetchWorker, join, type Person, signIn, signUp } from "./support/people.ts";

const HOUR = 3_600_000;

interface Sent {
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
}

function ask(person: Person, method: string, path: string, { bytes, headers }: Sent = {}): Promise<Response> {
  return fetchWorker(`/api/vault/${path}`, {
    method,
    headers: { authorization: `Bearer ${person.token}`, ...headers },
    ...(bytes && { body: bytes }),
  });
}
const put = (person: Person, id: string, sent: Sent = {}) =>
  ask(person, "PUT", `backup/${id}`, { bytes: randomBytes(100), ...sent });
const get = (person: Person, id: string, shelf = "backup") => ask(person, "GET", `${shelf}/${id}`);
const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const mailboxOf = ({ tenant, member }: Person) => mailboxStub(env, { tenant, member, residency: "eu" });
const newShelf = () => `handover.${newId<VaultId>()}`;
const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code;
const list = async (person: Person, shelf = "backup") =>
  (
    (await (await ask(person, "GET", shelf)).json()) as {
      objects: { id: string; size: number; expiresAt: number | null }[];
    }
  ).objects;
const keysInBucket = async (person: Person) =>
  (await env.VAULT.list({ prefix: `eu/${person.tenant}/` })).objects.map(({ key }) => key);

describe("vault", () => {
  test("V1: gives back exactly what was stored, under a key that names residency, tenant and member", async () => {
    const [owner, id, bytes] = [await signUp(), newId<VaultId>(), new Uint8Array(100_000).fill(7)];
    expect((await put(owner, id, { bytes })).status).toBe(204);
    expect(await bytesOf(await get(owner, id))).toEqual(bytes);
    expect(await list(owner)).toMatchObject([{ id, size: 100_000, expiresAt: null }]);
    expect(await keysInBucket(owner)).toEqual([`eu/${owner.tenant}/${owner.member}/${id}`]);
  });

  test("V1: a deleted object is gone from the vault and from its bucket, and deleting again is no error", async () => {
    const [owner, id] = [await signUp(), newId<VaultId>()];
    await put(owner, id);
    for (const _ of [1, 2]) expect((await ask(owner, "DELETE", `backup/${id}`)).status).toBe(204);
    expect((await get(owner, id)).status).toBe(404);
    expect(await list(owner)).toEqual([]);
    expect(await keysInBucket(owner)).toEqual([]);
  });

  test("V2: another member's object, another tenant's and none at all are answered alike, byte for byte", async () => {
    const owner = await signUp();
    const [colleague, stranger, id] = [await join(owner), await signUp(), newId<VaultId>()];
    await put(owner, id);
    const answers = await Promise.all([
      get(colleague, id),
      get(stranger, id),
      get(owner, newId<VaultId>()),
      get(owner, id, newShelf()),
    ]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
    expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
    await ask(colleague, "DELETE", `backup/${id}`);
    await put(stranger, id, { bytes: randomBytes(5) });
    expect((await bytesOf(await get(owner, id))).length).toBe(100);
    expect(await list(colleague)).toEqual([]);
  });

  test("V2: without a token nothing is said, and an id of another shape is malformed", async () => {
    expect((await fetchWorker(`/api/vault/backup/${newId<VaultId>()}`)).status).toBe(401);
    const owner = await signUp();
    expect(await codeOf(await put(owner, "..%2Fescape"))).toBe("malformed");
    for (const shelf of ["elsewhere", "handover", "handover.", `handover.${"A".repeat(23)}`, `${newShelf()}.x`]) {
      expect(await codeOf(await ask(owner, "GET", shelf))).toBe("malformed");
    }
  });

  test("V3: an object above the cap is too large, an empty one malformed", async () => {
    const owner = await signUp();
    const tooLarge = await put(owner, newId<VaultId>(), { bytes: new Uint8Array(LIMITS.vaultObjectBytes + 1) });
    expect(await codeOf(tooLarge)).toBe("too_large");
    expect(await codeOf(await put(owner, newId<VaultId>(), { bytes: new Uint8Array(0) }))).toBe("malformed");
    expect(await list(owner)).toEqual([]);
  });

  test.each([
    ["objects", { count: LIMITS.vaultObjects - 1, size: 1 }],
    ["bytes", { count: 3, size: Math.floor((LIMITS.vaultBytes - 150) / 3) }],
  ])(
    "V3: a vault that holds all the %s it may takes no more, however many come at once",
    async (_, { count, size }) => {
      const [owner] = [await signUp()];
      const colleague = await join(owner);
      await env.DIRECTORY.prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3)
       INSERT INTO vault_objects SELECT ?1, ?2, 'full' || i, 'backup', ?4, 1, NULL FROM n`,
      )
        .bind(owner.tenant, owner.member, count, size)
        .run();
      const answers = await Promise.all(Array.from({ length: 5 }, () => put(owner, newId<VaultId>())));
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 507, 507, 507, 507]);
      expect((await put(colleague, newId<VaultId>())).status).toBe(204);
    },
  );

  test("V4: a replacement that expects another object is a conflict and changes nothing", async () => {
    const [owner, id] = [await signUp(), newId<VaultId>()];
    const first = await put(owner, id, { headers: { "if-none-match": "*" } });
    const tag = first.headers.get("etag") ?? "";
    expect(await codeOf(await put(owner, id, { headers: { "if-none-match": "*" } }))).toBe("conflict");
    const second = await put(owner, id, { bytes: randomBytes(7), headers: { "if-match": tag } });
    expect(second.status).toBe(204);
    expect(await codeOf(await put(owner, id, { headers: { "if-match": tag } }))).toBe("conflict");
    const kept = await get(owner, id);
    expect(kept.headers.get("etag")).toBe(second.headers.get("etag"));
    expect((await bytesOf(kept)).length).toBe(7);
    expect(await list(owner)).toMatchObject([{ size: 7 }]);
  });

  test("V4: of several that replace the same object at once exactly one succeeds", async () => {
    const [owner, id] = [await signUp(), newId<VaultId>()];
    const tag = (await put(owner, id)).headers.get("etag") ?? "";
    const answers = await Promise.all(
      [11, 22, 33, 44].map((length) => put(owner, id, { bytes: randomBytes(length), headers: { "if-match": tag } })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409, 409, 409]);
    const { length } = await bytesOf(await get(owner, id));
    expect(length).toBe([11, 22, 33, 44][answers.findIndex(({ status }) => status === 204)]);
    expect(await list(owner)).toMatchObject([{ size: length }]);
  });

  test("V5: an object that has expired is not given out, and the next sign-in of anybody in the tenant destroys it", async () => {
    const owner = await signUp();
    const [colleague, id] = [await join(owner), newId<VaultId>()];
    await put(owner, id, { headers: { [EXPIRES_AT_HEADER]: String(Date.now() + HOUR) } });
    const now = vi.spyOn(Date, "now").mockReturnValue(Date.now() + HOUR);
    try {
      const { body } = await signIn(owner);
      expect((await get({ ...owner, token: body.token }, id)).status).toBe(404);
      expect(await list({ ...owner, token: body.token })).toEqual([]);
      await signIn(colleague);
    } finally {
      now.mockRestore();
    }
    expect(await keysInBucket(owner)).toEqual([]);
  });

  test("V5: an object that has expired does not stand in the way of a new one of its name", async () => {
    const [owner, id] = [await signUp(), newId<VaultId>()];
    await put(owner, id, { headers: { [EXPIRES_AT_HEADER]: String(Date.now() + HOUR) } });
    await env.DIRECTORY.prepare("UPDATE vault_objects SET expires_at = 1 WHERE id = ?").bind(id).run();
    expect((await put(owner, id, { headers: { "if-none-match": "*" } })).status).toBe(204);
    expect((await get(owner, id)).status).toBe(200);
    expect(await codeOf(await put(owner, id, { headers: { [EXPIRES_AT_HEADER]: "1" } }))).toBe("malformed");
  });

  test("V5: it is destroyed when its time has come, with nobody there, and no sooner", async () => {
    const [owner, id, other] = [await signUp(), newId<VaultId>(), newId<VaultId>()];
    const at = Date.now() + HOUR;
    await put(owner, id, { headers: { [EXPIRES_AT_HEADER]: String(at) } });
    await put(owner, other);
    const mailbox = mailboxOf(owner);
    const alarmAt = () => runInDurableObject(mailbox, (_, { storage }) => storage.getAlarm());
    expect(await alarmAt()).toBe(at);
    await evictDurableObject(mailbox);
    const now = vi.spyOn(Date, "now").mockReturnValue(at - 1);
    try {
      await runDurableObjectAlarm(mailbox);
      expect((await keysInBucket(owner)).length).toBe(2);
      now.mockReturnValue(at);
      expect(await alarmAt()).toBe(at);
      await runDurableObjectAlarm(mailbox);
    } finally {
      now.mockRestore();
    }
    expect(await keysInBucket(owner)).toEqual([`eu/${owner.tenant}/${owner.member}/${other}`]);
    expect(await alarmAt()).toBeNull();
  });

  test("V5: an object whose mailbox cannot be told of its time is not stored", async () => {
    const [owner, id] = [await signUp(), newId<VaultId>()];
    await runInDurableObject(mailboxOf(owner), (_, { storage }) => {
      storage.sql.exec("DELETE FROM owner");
    });
    const answer = await put(owner, id, { headers: { [EXPIRES_AT_HEADER]: String(Date.now() + HOUR) } });
    expect(answer.status).toBe(404);
    expect(await keysInBucket(owner)).toEqual([]);
  });

  test("V7: on a handover's shelf nothing lies longer than a day after the first of it, whatever its device asks for", async () => {
    const [owner, shelf] = [await signUp(), newShelf()];
    const begun = Date.now();
    let { token } = owner;
    const stored = (headers?: Record<string, string>) =>
      ask({ ...owner, token }, "PUT", `${shelf}/${newId<VaultId>()}`, {
        bytes: randomBytes(9),
        ...(headers && { headers }),
      });
    await stored();
    const now = vi.spyOn(Date, "now").mockReturnValue(begun + 5 * HOUR);
    try {
      token = (await signIn(owner)).body.token;
      await stored();
      await stored({ [EXPIRES_AT_HEADER]: String(begun + 100 * HOUR) });
      await stored({ [EXPIRES_AT_HEADER]: String(begun + 6 * HOUR) });
      const ends = (await list({ ...owner, token }, shelf)).map(({ expiresAt }) =>
        Math.round(((expiresAt ?? 0) - begun) / HOUR),
      );
      expect(ends.sort((a, b) => a - b)).toEqual([6, 24, 24, 24]);
      now.mockReturnValue(begun + 24 * HOUR + 60_000);
      await runDurableObjectAlarm(mailboxOf(owner));
    } finally {
      now.mockRestore();
    }
    expect(await keysInBucket(owner)).toEqual([]);
  });

  test("V7: another handover of the same member has a shelf and a time of its own", async () => {
    const [owner, first, second] = [await signUp(), newShelf(), newShelf()];
    const id = newId<VaultId>();
    await ask(owner, "PUT", `${first}/${id}`, { bytes: randomBytes(9) });
    await ask(owner, "PUT", `${second}/${newId<VaultId>()}`, { bytes: randomBytes(9) });
    expect(await list(owner, first)).toMatchObject([{ id }]);
    expect((await get(owner, id, second)).status).toBe(404);
    await ask(owner, "DELETE", `${second}/${id}`);
    expect((await get(owner, id, first)).status).toBe(200);
    const taken = await ask(owner, "PUT", `${second}/${id}`, { bytes: randomBytes(9) });
    expect(await codeOf(taken)).toBe("conflict");
  });

  test("V6: a removed member's vault is emptied", async () => {
    const owner = await signUp();
    const [member, id] = [await join(owner), newId<VaultId>()];
    await put(member, id);
    await ask(member, "PUT", `${newShelf()}/${newId<VaultId>()}`, { bytes: randomBytes(9) });
    const init = { method: "DELETE", headers: { authorization: `Bearer ${owner.token}` } };
    expect((await fetchWorker(`/api/members/${member.member}`, init)).status).toBe(204);
    expect(await keysInBucket(owner)).toEqual([]);
  });
});
