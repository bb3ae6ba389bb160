// Recovery by phrase through its routes, on the real runtime: who may, what a phrase opens, and what nobody learns.

import { describe, expect, test, vi } from "vitest";
import { randomBytes } from "../../schemas/bytes.ts";
import { newId, type VaultId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { recoveryPayload } from "../../schemas/recovery.ts";
import {
  type Answer,
  call,
  env,
  fetchWorker,
  join,
  newDevice,
  newKey,
  type Person,
  signIn,
  signUp,
  suspend,
} from "./support/people.ts";
import { enrol, enrolmentOf, newPhrase, type Phrase } from "./support/phrases.ts";

const MINUTE = 60_000;

async function recover({ lookup, key }: Phrase): Promise<Answer> {
  const { body } = await call("POST", "/api/recovery/challenges", { body: { lookup } });
  const signature = await key.sign(recoveryPayload(body.challenge));
  return call("POST", "/api/recovery/tokens", { body: { challenge: body.challenge, signature } });
}

async function enrolled() {
  const [owner, phrase] = [await signUp(), await newPhrase()];
  expect((await enrol(owner, phrase)).status).toBe(204);
  return { owner, phrase };
}

describe("enrolment", () => {
  test("Y1: keeps of a phrase its lookup id and public key, and says that there is one", async () => {
    const { owner, phrase } = await enrolled();
    const { body } = await call("GET", "/api/recovery", owner);
    expect(body).toEqual({ recovery: { lookup: phrase.lookup, enrolledAt: expect.any(Number) } });
    const row = await env.DIRECTORY.prepare("SELECT * FROM recoveries WHERE lookup = ?").bind(phrase.lookup).first();
    expect(row).toEqual({
      lookup: phrase.lookup,
      public_key: phrase.key.publicKey,
      tenant_id: owner.tenant,
      member_id: owner.member,
      enrolled_at: expect.any(Number),
    });
  });

  test("Y1: without the proof of its key, or with the proof for another member, no phrase is enrolled", async () => {
    const [owner, phrase] = [await signUp(), await newPhrase()];
    const colleague = await join(owner);
    const body = await enrolmentOf(owner, phrase);
    expect(await call("PUT", "/api/recovery", { token: colleague.token, body })).toMatchObject({ status: 403 });
    expect((await call("GET", "/api/recovery", colleague)).body).toEqual({ recovery: null });
    expect((await call("PUT", "/api/recovery", { body })).status).toBe(401);
  });

  test("Y1: a member has one phrase: a new one takes the old one's place, dropping it leaves none", async () => {
    const { owner, phrase } = await enrolled();
    const second = await newPhrase();
    for (const _ of [1, 2]) expect((await enrol(owner, second)).status).toBe(204);
    expect((await recover(phrase)).status).toBe(404);
    expect((await recover(second)).status).toBe(200);
    expect((await call("DELETE", "/api/recovery", owner)).status).toBe(204);
    expect((await recover(second)).status).toBe(404);
  });

  test("Y1: a lookup id that is somebody else's is a conflict and costs nobody the phrase they have", async () => {
    const { owner, phrase } = await enrolled();
    const [colleague, own] = [await join(owner), await newPhrase()];
    await enrol(colleague, own);
    const taken = { lookup: phrase.lookup, key: own.key };
    expect(await enrol(colleague, taken)).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect((await recover(phrase)).body.member.id).toBe(owner.member);
    expect((await recover(own)).body.member.id).toBe(colleague.member);
  });
});

describe("sign-in by phrase", () => {
  test("Y2: tells the holder of the phrase whose it is", async () => {
    const { owner, phrase } = await enrolled();
    const { body } = await recover(phrase);
    expect(body).toMatchObject({
      tenant: { id: owner.tenant, name: "Backhaus", residency: "eu" },
      member: { id: owner.member, name: "Olga", role: "owner", identityKey: owner.identity.publicKey },
    });
    expect(body.expiresAt - body.now).toBeLessThanOrEqual(10 * MINUTE);
  });

  test("Y2: an unknown phrase and a wrong signature are answered alike, byte for byte, and so are their challenges", async () => {
    const { phrase } = await enrolled();
    const stranger = await newPhrase();
    const wrong = await recover({ lookup: phrase.lookup, key: stranger.key });
    const unknown = await recover(stranger);
    expect([wrong.status, unknown.status]).toEqual([404, 404]);
    expect(wrong.text).toBe(unknown.text);
    const challenges = await Promise.all(
      [phrase, stranger].map(({ lookup }) => call("POST", "/api/recovery/challenges", { body: { lookup } })),
    );
    expect(Object.keys(challenges[0]?.body)).toEqual(Object.keys(challenges[1]?.body));
    expect(challenges[0]?.text.length).toBe(challenges[1]?.text.length);
  });

  test("Y2: a challenge is good for a minute, for its own phrase, and is no sign-in challenge of a device nor the other way round", async () => {
    const { owner, phrase } = await enrolled();
    const { body } = await call("POST", "/api/recovery/challenges", { body: { lookup: phrase.lookup } });
    const signature = await phrase.key.sign(recoveryPayload(body.challenge));
    expect((await call("POST", "/api/tokens", { body: { challenge: body.challenge, signature } })).status).toBe(401);
    const device = await call("POST", "/api/challenges", { body: { tenant: owner.tenant, device: owner.device } });
    const crossed = {
      challenge: device.body.challenge,
      signature: await phrase.key.sign(recoveryPayload(device.body.challenge)),
    };
    expect((await call("POST", "/api/recovery/tokens", { body: crossed })).status).toBe(401);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * MINUTE });
    const late = await call("POST", "/api/recovery/tokens", { body: { challenge: body.challenge, signature } });
    vi.useRealTimers();
    expect(late).toMatchObject({ status: 401, body: { code: "token_expired" } });
  });

  test("Y2: a removed member's phrase and one of a suspended tenant open nothing", async () => {
    const { owner, phrase } = await enrolled();
    const [member, own] = [await join(owner), await newPhrase()];
    await enrol(member, own);
    const { token } = (await recover(own)).body;
    await call("DELETE", `/api/members/${member.member}`, owner);
    expect(await recover(own)).toMatchObject({ status: 403, body: { code: "device_revoked" } });
    expect((await call("GET", "/api/recovery/backup", { token })).status).toBe(403);
    await suspend(owner.tenant);
    expect(await recover(phrase)).toMatchObject({ status: 403, body: { code: "tenant_suspended" } });
  });

  test("Y2: tries are limited by address and by phrase, whichever comes first", async () => {
    const { phrase } = await enrolled();
    const keys: string[] = [];
    const limited = {
      ...env,
      SIGN_IN_LIMIT: { limit: async ({ key }: { key: string }) => ({ success: keys.push(key) < 9 }) },
    };
    const attempt = async () => {
      const { body } = await call("POST", "/api/recovery/challenges", {
        body: { lookup: phrase.lookup },
        env: limited,
      });
      if (body.code) return body.code;
      const signature = await phrase.key.sign(recoveryPayload(body.challenge));
      const tried = await call("POST", "/api/recovery/tokens", {
        body: { challenge: body.challenge, signature },
        env: limited,
      });
      return tried.body.code ?? "in";
    };
    const outcomes = [await attempt(), await attempt(), await attempt()];
    expect(outcomes).toEqual(["in", "in", "rate_limited"]);
    expect(keys).toContain(`recovery ${phrase.lookup}`);
  });
});

describe("what a phrase opens", () => {
  test("Y3: its token reads the member's sealed backup, and nothing else of the server", async () => {
    const { owner, phrase } = await enrolled();
    const [colleague, id, elsewhere] = [await join(owner), newId<VaultId>(), newId<VaultId>()];
    const send = (person: Person, path: string, length: number) =>
      fetchWorker(`/api/vault/${path}`, {
        method: "PUT",
        headers: { authorization: `Bearer ${person.token}` },
        body: randomBytes(length),
      });
    await send(owner, `backup/${id}`, 50);
    await send(owner, `handover/${elsewhere}`, 51);
    await send(colleague, `backup/${elsewhere}`, 52);
    const { token } = (await recover(phrase)).body;
    const headers = { authorization: `Bearer ${token}` };
    expect((await call("GET", "/api/recovery/backup", { token })).body.objects).toMatchObject([{ id, size: 50 }]);
    const object = await fetchWorker(`/api/recovery/backup/${id}`, { headers });
    expect((await object.arrayBuffer()).byteLength).toBe(50);
    expect((await fetchWorker(`/api/recovery/backup/${elsewhere}`, { headers })).status).toBe(404);
    for (const path of ["/api/members", "/api/devices", "/api/vault/backup", "/api/recovery", "/api/tenant"]) {
      expect((await call("GET", path, { token })).status).toBe(401);
    }
    for (const method of ["PUT", "DELETE"]) {
      const answer = await fetchWorker(`/api/recovery/backup/${id}`, { method, headers });
      expect(answer.status).toBe(404);
    }
    expect((await call("GET", "/api/recovery/backup", { token: owner.token })).status).toBe(401);
  });

  test("Y4: its token lets one certified device in, which then signs in like any other; repeating it is alike, another one is a conflict", async () => {
    const { owner, phrase } = await enrolled();
    const { token } = (await recover(phrase)).body;
    const [first, second] = [await newDevice(owner), await newDevice(owner)];
    const enter = (body: unknown) => call("POST", "/api/recovery/device", { token, body });
    for (const _ of [1, 2]) expect((await enter({ device: first.device })).status).toBe(200);
    expect(await enter({ device: second.device })).toMatchObject({ status: 409, body: { code: "conflict" } });
    const signedIn = await signIn({ ...owner, device: first.device.id, deviceKey: first.deviceKey });
    const { body } = await call("GET", "/api/devices", { token: signedIn.body.token });
    expect(body.devices.map(({ id }: { id: string }) => id)).toEqual([owner.device, first.device.id]);
    const again = (await recover(phrase)).body;
    const answer = await call("POST", "/api/recovery/device", { token: again.token, body: { device: second.device } });
    expect(answer.status).toBe(200);
  });

  test("Y4: of many devices that come at once by one permission exactly one is in", async () => {
    const { owner, phrase } = await enrolled();
    const { token } = (await recover(phrase)).body;
    const devices = await Promise.all(Array.from({ length: 4 }, () => newDevice(owner)));
    const answers = await Promise.all(
      devices.map(({ device }) => call("POST", "/api/recovery/device", { token, body: { device } })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  test("Y4: a device that another identity key has certified stays out", async () => {
    const { owner, phrase } = await enrolled();
    const { token } = (await recover(phrase)).body;
    const { device } = await newDevice({ ...owner, identity: await newKey() });
    expect((await call("POST", "/api/recovery/device", { token, body: { device } })).status).toBe(403);
    expect((await call("GET", "/api/devices", owner)).body.devices).toHaveLength(1);
  });

  test("Y4: a member may have only so many devices; a revoked one makes room", async () => {
    const { owner, phrase } = await enrolled();
    await env.DIRECTORY.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?4)
       INSERT INTO devices (tenant_id, id, member_id, name, signature_key, certificate, created_at, last_used_at)
       SELECT ?1, ?3 || i, ?2, 'd', 'k', 'c', 1, 1 FROM n`,
    )
      .bind(owner.tenant, owner.member, "many", LIMITS.devicesPerMember - 1)
      .run();
    const { token } = (await recover(phrase)).body;
    const { device } = await newDevice(owner);
    const enter = () => call("POST", "/api/recovery/device", { token, body: { device } });
    expect(await enter()).toMatchObject({ status: 507, body: { code: "quota" } });
    await env.DIRECTORY.prepare("UPDATE devices SET revoked_at = 1, expelled_at = 1 WHERE id = 'many1'").run();
    expect((await enter()).status).toBe(200);
  });
});
