// The key log through its routes on the real runtime: everything that happens to keys is in it, in order, provably, and stays.

import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { fromBase64url, toBase64url, toHex } from "../../schemas/bytes.ts";
import { decodeKeyEvent, encodeKeyEvent, type KeyEvent } from "../../schemas/key-event.ts";
import { EMPTY_ROOT, type Hash, leafHash, nodeHash, verifyConsistency, verifyInclusion } from "../../schemas/merkle.ts";
import type { KeyLogObject } from "../../workers/key-log/object.ts";
import { publishKeys } from "../../workers/publication.ts";
import { keyLogStub } from "../../workers/residency.ts";
import { call, env, join, newcomer, type Person, signIn, signUp, signupBody } from "./support/people.ts";

const bytes = (text: string) => fromBase64url(text) ?? new Uint8Array();

async function headOf(person: Person) {
  const { body } = await call("GET", "/api/keys/head", person);
  return { size: body.size as number, root: bytes(body.root) };
}

async function leavesOf(person: Person, from = 0): Promise<Uint8Array<ArrayBuffer>[]> {
  const { body } = await call("GET", `/api/keys/leaves?from=${from}`, person);
  return body.leaves.map(bytes);
}

const eventsOf = async (person: Person) => (await leavesOf(person)).map(decodeKeyEvent);

function naive(leaves: readonly Uint8Array[]): Hash {
  const [first] = leaves;
  if (first === undefined) return EMPTY_ROOT;
  if (leaves.length === 1) return leafHash(first);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(naive(leaves.slice(0, k)), naive(leaves.slice(k)));
}

const entered = ({ member, device, identity, deviceKey, introduction }: Person): KeyEvent[] => [
  { type: "member", member, identityKey: identity.bytes },
  {
    type: "device",
    member,
    device,
    signatureKey: deviceKey.bytes,
    certificate: bytes(introduction.device.certificate),
  },
];

describe("key log", () => {
  test("J1: holds every member, device, revocation and removal, in order, each once", async () => {
    const owner = await signUp();
    const [second, third] = [await join(owner), await join(owner)];
    for (const _ of [1, 2]) await call("DELETE", `/api/devices/${second.device}`, owner);
    await call("DELETE", `/api/members/${third.member}`, owner);
    await headOf(owner);
    expect(await eventsOf(owner)).toEqual([
      ...entered(owner),
      ...entered(second),
      ...entered(third),
      { type: "revoked", member: second.member, device: second.device },
      { type: "removed", member: third.member },
      { type: "revoked", member: third.member, device: third.device },
    ]);
  });

  test("J1: a sign-up that is repeated or refused leaves no second trace", async () => {
    const owner = await signUp();
    await call("POST", "/api/tenants", { body: signupBody(owner) });
    await call("POST", "/api/tenants", { body: signupBody(await newcomer(owner.tenant)) });
    await headOf(owner);
    expect(await eventsOf(owner)).toEqual(entered(owner));
  });

  test("J2: its head is the Merkle head of its leaves, and each leaf's inclusion is proven", async () => {
    const owner = await signUp();
    for (let count = 0; count < 4; count++) await join(owner);
    const [head, leaves] = [await headOf(owner), await leavesOf(owner)];
    expect(head.size).toBe(10);
    expect(toHex(head.root)).toBe(toHex(naive(leaves)));
    for (const leaf of leaves) {
      const hash = leafHash(leaf);
      const { body } = await call("GET", `/api/keys/proof?leaf=${toBase64url(hash)}&size=${head.size}`, owner);
      const proof = body.hashes.map(bytes);
      expect(verifyInclusion({ ...head, leaf: hash, index: body.index, proof })).toBe(true);
    }
    const stranger = toBase64url(leafHash(encodeKeyEvent({ type: "removed", member: owner.member })));
    expect((await call("GET", `/api/keys/proof?leaf=${stranger}&size=${head.size}`, owner)).status).toBe(404);
    const early = toBase64url(leafHash(leaves[9] ?? new Uint8Array()));
    expect((await call("GET", `/api/keys/proof?leaf=${early}&size=9`, owner)).status).toBe(404);
  });

  test("J2: between any two heads it is proven that the second goes on from the first", async () => {
    const owner = await signUp();
    const heads = [await headOf(owner)];
    for (let count = 0; count < 4; count++) {
      await join(owner);
      heads.push(await headOf(owner));
    }
    for (const first of heads) {
      for (const second of heads.filter(({ size }) => size >= first.size)) {
        const { body } = await call("GET", `/api/keys/growth?first=${first.size}&second=${second.size}`, owner);
        expect(verifyConsistency({ first, second, proof: body.hashes.map(bytes) })).toBe(true);
      }
    }
    for (const [first, second] of [
      [0, 2],
      [4, 2],
      [2, 99],
    ]) {
      expect((await call("GET", `/api/keys/growth?first=${first}&second=${second}`, owner)).status).toBe(404);
    }
  });

  test("J2: a tenant's log is its own, and nobody reads one without a token", async () => {
    const [owner, stranger] = [await signUp(), await signUp()];
    await join(stranger);
    expect((await headOf(owner)).size).toBe(2);
    expect((await headOf(stranger)).size).toBe(4);
    for (const path of ["head", "leaves?from=0", "proof?leaf=a&size=1", "growth?first=1&second=1"]) {
      expect((await call("GET", `/api/keys/${path}`)).status).toBe(401);
    }
    for (const path of ["leaves", "leaves?from=-1", "proof?leaf=a&size=1", "growth?first=x&second=1"]) {
      expect((await call("GET", `/api/keys/${path}`, owner)).status).toBe(400);
    }
  });

  test("J3: what was interrupted is entered later, once and in order, by a sign-in too", async () => {
    const owner = await signUp();
    const home = { tenant: owner.tenant, residency: "eu" } as const;
    await join(owner);
    // The answer of the log was lost: it has the events, the directory does not know
    await publishKeys(env, home);
    await env.DIRECTORY.prepare("UPDATE key_events SET logged = 0 WHERE tenant_id = ?").bind(owner.tenant).run();
    await join(owner);
    await Promise.all([publishKeys(env, home), publishKeys(env, home), signIn(owner)]);
    const left = await env.DIRECTORY.prepare("SELECT 1 FROM key_events WHERE tenant_id = ? AND logged = 0")
      .bind(owner.tenant)
      .all();
    expect(left.results).toEqual([]);
    const events = await eventsOf(owner);
    expect(events).toHaveLength(6);
    expect(new Set(events.map((event) => JSON.stringify(event))).size).toBe(6);
  });

  test("J3: a log of a thousand leaves is read in pages and proves its last leaf", async () => {
    const owner = await signUp();
    await env.DIRECTORY.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       INSERT INTO key_events (tenant_id, type, member_id) SELECT ?1, 'removed', ?2 FROM n`,
    )
      .bind(owner.tenant, owner.member)
      .run();
    const head = await headOf(owner);
    expect(head.size).toBe(1_002);
    const leaves: Uint8Array[] = [];
    while (leaves.length < head.size) leaves.push(...(await leavesOf(owner, leaves.length)));
    expect(toHex(naive(leaves))).toBe(toHex(head.root));
  });

  test("R1: an object of the other residency refuses to log", async () => {
    const owner = await signUp();
    const stub = keyLogStub(env, { tenant: owner.tenant, residency: "global" });
    await runInDurableObject(stub as unknown as DurableObjectStub<KeyLogObject>, (object) => {
      expect(() => object.append({ residency: "eu", events: [] })).toThrow("wrong_residency");
      expect(() => object.head({ residency: "eu" })).toThrow("wrong_residency");
    });
  });
});
