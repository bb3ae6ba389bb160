// Meeting places and the entrance by grant, through their routes on the real runtime.

import { runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { type DeviceId, type GrantId, type LinkId, newId } from "../../schemas/ids.ts";
import { grantPayload } from "../../schemas/linking.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { mailboxStub } from "../../workers/residency.ts";
import { call, env, join, newDevice, newKey, type Person, signIn, signUp } from "./support/people.ts";

const MINUTE = 60_000;
const newLink = () => toBase64url(randomBytes(16)) as LinkId;
const bytes = () => toBase64url(randomBytes(100));

async function opened() {
  const [owner, id, offer] = [await signUp(), newLink(), bytes()];
  const open = () => call("POST", "/api/links", { token: owner.token, body: { id, offer } });
  expect((await open()).status).toBe(204);
  return { owner, id, offer, open };
}

const look = (id: string) => call("GET", `/api/links/${id}`);
const leave = (id: string, step: string, text: string, token?: string) =>
  call("POST", `/api/links/${id}/${step}`, { token, body: { bytes: text } });

interface Permission {
  by?: DeviceId;
  id?: GrantId;
  lasts?: number;
  key?: Person["deviceKey"];
}
async function grantOf(
  person: Person,
  { by = person.device, id = newId<GrantId>(), lasts = 5 * MINUTE, key = person.deviceKey }: Permission = {},
) {
  const expiresAt = Date.now() + lasts;
  const signature = await key.sign(
    grantPayload({ tenant: person.tenant, member: person.member, by, grant: id, expiresAt }),
  );
  return { id, by, expiresAt, signature };
}

describe("meeting place", () => {
  test("P5: what is left is read by whoever knows the id, in order", async () => {
    const { owner, id, offer, open } = await opened();
    expect((await look(id)).body).toMatchObject({ offer, hello: null, reveal: null, handover: null });
    const [hello, reveal, handover] = [bytes(), bytes(), bytes()];
    expect((await leave(id, "hello", hello)).status).toBe(204);
    expect((await leave(id, "reveal", reveal, owner.token)).status).toBe(204);
    expect((await leave(id, "handover", handover, owner.token)).status).toBe(204);
    expect((await look(id)).body).toMatchObject({ offer, hello, reveal, handover });
    expect((await open()).status).toBe(204);
  });

  test("P5: nothing that was left is replaced, a repeat is alike, and of two who answer at once one is told", async () => {
    const { owner, id } = await opened();
    const [first, second] = [bytes(), bytes()];
    const answers = await Promise.all([leave(id, "hello", first), leave(id, "hello", second)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    const kept = (await look(id)).body.hello;
    expect((await leave(id, "hello", kept)).status).toBe(204);
    await leave(id, "reveal", first, owner.token);
    expect((await leave(id, "reveal", second, owner.token)).status).toBe(409);
    const other = await opened();
    expect((await leave(other.id, "reveal", first, other.owner.token)).status).toBe(409);
    expect((await leave(other.id, "handover", first, other.owner.token)).status).toBe(409);
  });

  test("P5: only the device that opened it reveals and hands over; to others it is as absent as none", async () => {
    const { owner, id } = await opened();
    const [colleague, stranger] = [await join(owner), await signUp()];
    await leave(id, "hello", bytes());
    const answers = await Promise.all([
      leave(id, "reveal", bytes(), colleague.token),
      leave(id, "reveal", bytes(), stranger.token),
      leave(newLink(), "reveal", bytes(), owner.token),
    ]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.status).toBe(404);
    expect((await leave(id, "reveal", bytes())).status).toBe(401);
    const taken = await call("POST", "/api/links", { token: stranger.token, body: { id, offer: bytes() } });
    expect(taken).toMatchObject({ status: 409, body: { code: "conflict" } });
  });

  test("P5: it is gone after ten minutes, when somebody clears it away, and when its device opens another one", async () => {
    const { owner, id } = await opened();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + LIMITS.linkLife });
    expect((await look(id)).status).toBe(404);
    expect((await leave(id, "hello", bytes())).status).toBe(404);
    vi.useRealTimers();
    expect((await look(id)).status).toBe(200);
    const second = newLink();
    await call("POST", "/api/links", { token: owner.token, body: { id: second, offer: bytes() } });
    expect((await look(id)).status).toBe(404);
    expect((await call("DELETE", `/api/links/${second}`)).status).toBe(204);
    expect((await look(second)).status).toBe(404);
    const { results } = await env.DIRECTORY.prepare("SELECT 1 FROM links WHERE device_id = ?").bind(owner.device).all();
    expect(results).toEqual([]);
  });
});

describe("the end of a meeting place", () => {
  test("P5: nothing of it stays in the directory when its ten minutes are over, with nobody there", async () => {
    const { owner, id } = await opened();
    await leave(id, "hello", bytes());
    const rows = async () => (await env.DIRECTORY.prepare("SELECT 1 FROM links WHERE id = ?").bind(id).all()).results;
    const mailbox = mailboxStub(env, { tenant: owner.tenant, member: owner.member, residency: "eu" });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + LIMITS.linkLife - MINUTE });
    try {
      await runDurableObjectAlarm(mailbox);
      expect(await rows()).toHaveLength(1);
      vi.setSystemTime(Date.now() + 2 * MINUTE);
      expect(await runDurableObjectAlarm(mailbox)).toBe(true);
      expect(await rows()).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("entrance by grant", () => {
  const enter = (person: Person, grant: unknown, device: unknown) =>
    call("POST", "/api/devices", { body: { tenant: person.tenant, grant, device } });

  test("P6: a device of the member's own enters by the grant of another, signs in, and has a mailbox", async () => {
    const owner = await signUp();
    const [grant, { device, deviceKey }] = [await grantOf(owner), await newDevice(owner)];
    for (const _ of [1, 2]) expect((await enter(owner, grant, device)).status).toBe(200);
    const { body } = await signIn({ ...owner, device: device.id, deviceKey });
    const listed = await call("GET", "/api/devices", { token: body.token });
    expect(listed.body.devices).toHaveLength(2);
  });

  test("P6: a grant lets in one device", async () => {
    const owner = await signUp();
    const grant = await grantOf(owner);
    const devices = await Promise.all([1, 2, 3].map(() => newDevice(owner)));
    const answers = await Promise.all(devices.map(({ device }) => enter(owner, grant, device)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
  });

  test("P6: a revoked device lets nobody in, although it still knows the identity key", async () => {
    const owner = await signUp();
    const second = await newDevice(owner);
    await enter(owner, await grantOf(owner), second.device);
    const before = await grantOf(owner, { by: second.device.id, key: second.deviceKey });
    await call("DELETE", `/api/devices/${second.device.id}`, owner);
    const after = await grantOf(owner, { by: second.device.id, key: second.deviceKey });
    for (const grant of [before, after]) {
      const answer = await enter(owner, grant, (await newDevice(owner)).device);
      expect(answer).toMatchObject({ status: 403, body: { code: "device_revoked" } });
    }
  });

  test.each([
    ["is over", { lasts: -1 }],
    ["would last for longer than ten minutes", { lasts: 11 * MINUTE }],
    ["is signed by no device", { by: newId<DeviceId>() }],
  ])("P6: a grant that %s is not_found", async (_, how) => {
    const owner = await signUp();
    const answer = await enter(owner, await grantOf(owner, how), (await newDevice(owner)).device);
    expect(answer).toMatchObject({ status: 404, body: { code: "not_found" } });
  });

  test("P6: a grant is its member's alone: not another member's, not signed by the identity key, not in another tenant", async () => {
    const [owner, stranger] = [await signUp(), await signUp()];
    const colleague = await join(owner);
    const { device } = await newDevice(colleague);
    expect((await enter(owner, await grantOf(owner), device)).status).toBe(403);
    const forged = await grantOf(owner, { key: owner.identity });
    expect((await enter(owner, forged, (await newDevice(owner)).device)).status).toBe(404);
    const elsewhere = await enter(stranger, await grantOf(owner), (await newDevice(owner)).device);
    expect(elsewhere.status).toBe(404);
    const uncertified = await newDevice({ ...owner, identity: await newKey() });
    expect((await enter(owner, await grantOf(owner), uncertified.device)).status).toBe(403);
  });
});
