// How somebody comes in through the routes: sign-up and invites, against a real D1.

import { describe, expect, test } from "vitest";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { certificatePayload, introductionPayload } from "../../schemas/credential.ts";
import { type DeviceId, type InviteId, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { invited, joinBody } from "./support/invitations.ts";
import { call, env, join, newcomer, type Person, signIn, signUp, signupBody } from "./support/people.ts";

const members = async (person: Person) => (await call("GET", "/api/members", person)).body.members;
const invites = async (person: Person) => (await call("GET", "/api/invites", person)).body.invites;

describe("sign-up", () => {
  test("H1: makes tenant, owner and device in one step and signs them in", async () => {
    const owner = await signUp();
    const { body } = await call("GET", "/api/tenant", owner);
    expect(body).toEqual({ id: owner.tenant, name: "Backhaus", residency: "eu", policy: DEFAULT_POLICY });
    expect(await members(owner)).toMatchObject([{ id: owner.member, name: "Olga", role: "owner", removedAt: null }]);
    const { body: own } = await call("GET", "/api/devices", owner);
    expect(own.devices).toMatchObject([{ id: owner.device, revokedAt: null }]);
  });

  test("H2: repeated after a lost answer succeeds again and changes nothing", async () => {
    const owner = await newcomer(newId<TenantId>());
    const first = await call("POST", "/api/tenants", { body: signupBody(owner) });
    const second = await call("POST", "/api/tenants", { body: signupBody(owner) });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(await members({ ...owner, token: second.body.token })).toHaveLength(1);
  });

  test("H2: all at once, the same sign-up makes one tenant with one owner", async () => {
    const owner = await newcomer(newId<TenantId>());
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => call("POST", "/api/tenants", { body: signupBody(owner) })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(await members({ ...owner, token: answers[0]?.body.token })).toHaveLength(1);
  });

  test.each(["tenant name", "residency", "member name", "device name", "device", "member", "keys"])(
    "H2: the same tenant id with another %s is a conflict",
    async (what) => {
      const owner = await newcomer(newId<TenantId>());
      await call("POST", "/api/tenants", { body: signupBody(owner) });
      const other = await newcomer(owner.tenant);
      const body = structuredClone(signupBody(owner));
      if (what === "tenant name") body.tenant.name = "Other";
      if (what === "residency") body.tenant.residency = "global";
      if (what === "member name") body.member.name = "Other";
      if (what === "device name") body.member.device.name = "Other";
      if (["device", "member", "keys"].includes(what)) body.member = other.introduction;
      const answer = await call("POST", "/api/tenants", { body });
      expect(answer).toMatchObject({ status: 409, body: { code: "conflict" } });
    },
  );

  test("H3: without the device's own proof nobody is let in, however much is known of it", async () => {
    const owner = await newcomer(newId<TenantId>());
    await call("POST", "/api/tenants", { body: signupBody(owner) });
    const thief = structuredClone(signupBody(owner));
    thief.member.device.proof = toBase64url(randomBytes(64));
    expect(await call("POST", "/api/tenants", { body: thief })).toMatchObject({
      status: 403,
      body: { code: "forbidden" },
    });
    thief.member.device.proof = thief.member.device.certificate;
    expect(await call("POST", "/api/tenants", { body: thief })).toMatchObject({ status: 403 });
  });

  test("H3: a device its identity key has not certified is refused, and nothing is kept of it", async () => {
    const [owner, other] = [await newcomer(newId<TenantId>()), await newcomer(newId<TenantId>())];
    const body = signupBody(owner);
    body.member.device.certificate = other.introduction.device.certificate;
    expect(await call("POST", "/api/tenants", { body })).toMatchObject({ status: 403, body: { code: "forbidden" } });
    const row = await env.DIRECTORY.prepare("SELECT 1 FROM tenants WHERE id = ?").bind(owner.tenant).first();
    expect(row).toBeNull();
  });
});

describe("invites", () => {
  test("H5: shows its holder who invites, into what, and nothing more", async () => {
    const owner = await signUp("global");
    const { id, secret } = await invited(owner, { role: "admin" });
    const { body } = await call("POST", "/api/invites/look", { body: { invite: id, secret } });
    expect(body).toEqual({
      tenant: { id: owner.tenant, name: "Backhaus" },
      inviter: "Olga",
      role: "admin",
      residency: "global",
      returning: null,
    });
  });

  test("H4: only the SHA-256 of a secret is kept", async () => {
    const owner = await signUp();
    const { id, secret, body } = await invited(owner);
    const row = await env.DIRECTORY.prepare("SELECT * FROM invites WHERE id = ?").bind(id).first();
    expect(row?.secret_hash).toBe(body.secretHash);
    expect(JSON.stringify(row)).not.toContain(secret);
  });

  test("H2: made again alike it stays one, made again otherwise it is a conflict", async () => {
    const owner = await signUp();
    const { body } = await invited(owner);
    expect((await call("POST", "/api/invites", { token: owner.token, body })).status).toBe(204);
    const other = await call("POST", "/api/invites", { token: owner.token, body: { ...body, uses: 2 } });
    expect(other).toMatchObject({ status: 409, body: { code: "conflict" } });
    const stranger = await signUp();
    expect(await call("POST", "/api/invites", { token: stranger.token, body })).toMatchObject({ status: 409 });
    expect(await invites(owner)).toHaveLength(1);
    expect(await invites(stranger)).toHaveLength(0);
  });

  test("H5: expired, used up and revoked are told apart to the holder of the secret, and to nobody else", async () => {
    const owner = await signUp();
    const [expired, used, revoked] = [
      await invited(owner, { expiresIn: 60_000 }),
      await invited(owner),
      await invited(owner),
    ];
    await call("POST", "/api/members", await joinBody(owner, used));
    await call("DELETE", `/api/invites/${revoked.id}`, owner);
    await env.DIRECTORY.prepare("UPDATE invites SET expires_at = 1 WHERE id = ?").bind(expired.id).run();
    const codes: string[] = [];
    for (const invite of [expired, used, revoked]) {
      const look = await call("POST", "/api/invites/look", { body: { invite: invite.id, secret: invite.secret } });
      const join = await call("POST", "/api/members", await joinBody(owner, invite));
      expect(look.text).toBe(join.text);
      expect(look.status).toBe(410);
      codes.push(look.body.code);
    }
    expect(codes).toEqual(["invite_expired", "invite_used_up", "invite_revoked"]);
    const wrong = toBase64url(randomBytes(32));
    const answers = await Promise.all(
      [expired.id, used.id, revoked.id, newId()].map((invite) =>
        call("POST", "/api/invites/look", { body: { invite, secret: wrong } }),
      ),
    );
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 404, body: { code: "not_found" } });
  });

  test("H4: twenty join at once on seven uses: seven are in, thirteen are told it is used up", async () => {
    const owner = await signUp();
    const invite = await invited(owner, { uses: 7 });
    const bodies = await Promise.all(Array.from({ length: 20 }, () => joinBody(owner, invite)));
    const answers = await Promise.all(bodies.map(({ body }) => call("POST", "/api/members", { body })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7);
    expect(answers.filter(({ body }) => body.code === "invite_used_up")).toHaveLength(13);
    expect(await members(owner)).toHaveLength(8);
    expect(await invites(owner)).toMatchObject([{ usesLeft: 0 }]);
  });

  test("H4: a join repeated after a lost answer spends one use, also when the last one is gone by then", async () => {
    const owner = await signUp();
    const invite = await invited(owner, { uses: 2 });
    const { body, person } = await joinBody(owner, invite);
    const answers = await Promise.all(Array.from({ length: 5 }, () => call("POST", "/api/members", { body })));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(await invites(owner)).toMatchObject([{ usesLeft: 1 }]);
    await call("POST", "/api/members", await joinBody(owner, invite));
    await call("DELETE", `/api/invites/${invite.id}`, owner);
    const again = await call("POST", "/api/members", { body });
    expect(again.status).toBe(200);
    expect((await call("GET", "/api/tenant", { token: again.body.token })).status).toBe(200);
    expect(await members(owner)).toHaveLength(3);
    expect((await signIn(person)).status).toBe(200);
  });

  test("H2: joining with a taken member or device id is a conflict and spends no use", async () => {
    const owner = await signUp();
    const present = await join(owner);
    const invite = await invited(owner);
    for (const taken of ["member", "device"] as const) {
      const clash = await newcomerWith(
        owner.tenant,
        taken === "member" ? { member: present.member } : { device: present.device },
      );
      const answer = await call("POST", "/api/members", {
        body: { invite: invite.id, secret: invite.secret, member: clash },
      });
      expect(answer).toMatchObject({ status: 409, body: { code: "conflict" } });
    }
    expect((await invites(owner)).find(({ id }: { id: string }) => id === invite.id).usesLeft).toBe(1);
    expect(await members(owner)).toHaveLength(2);
  });

  test("H6: one who may no longer invite takes open invites along", async () => {
    const owner = await signUp();
    const admin = await join(owner, "admin");
    const [kept, lost] = [await invited(owner), await invited(admin, { role: "admin" })];
    await call("PATCH", `/api/members/${admin.member}`, { token: owner.token, body: { role: "member" } });
    const look = (invite: { id: InviteId; secret: string }) =>
      call("POST", "/api/invites/look", { body: { invite: invite.id, secret: invite.secret } });
    expect((await look(lost)).body.code).toBe("invite_revoked");
    expect((await look(kept)).status).toBe(200);
  });
});

async function newcomerWith(tenant: TenantId, ids: { member?: MemberId; device?: DeviceId }) {
  const person = await newcomer(tenant);
  const { member = person.member, device = person.device } = ids;
  const { identity, deviceKey, introduction } = person;
  const certified = certificatePayload({ tenant, member, device, signatureKey: deviceKey.bytes });
  const introduced = introductionPayload({ tenant, member, device, identityKey: identity.bytes });
  return {
    ...introduction,
    id: member,
    device: {
      ...introduction.device,
      id: device,
      certificate: await identity.sign(certified),
      proof: await deviceKey.sign(introduced),
    },
  };
}
