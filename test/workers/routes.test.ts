// The life of tenants, invites, members, devices and conversations through the routes, against a real D1.

import { describe, expect, test, vi } from "vitest";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { certificatePayload, introductionPayload } from "../../schemas/credential.ts";
import {
  type ConversationId,
  type DeviceId,
  type InviteId,
  type MemberId,
  newId,
  type TenantId,
} from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { call, env, join, newcomer, newInvite, type Person, signIn, signUp, signupBody } from "./support/people.ts";

const members = async (person: Person) => (await call("GET", "/api/members", person)).body.members;
const invites = async (person: Person) => (await call("GET", "/api/invites", person)).body.invites;
const conversations = async (person: Person) => (await call("GET", "/api/conversations", person)).body.conversations;

async function invited(owner: Person, options: Parameters<typeof newInvite>[0] = {}) {
  const invite = await newInvite(options);
  expect((await call("POST", "/api/invites", { token: owner.token, body: invite.body })).status).toBe(204);
  return invite;
}

async function joinBody(owner: Person, { id, secret }: { id: InviteId; secret: string }) {
  const person = await newcomer(owner.tenant);
  return { person, body: { invite: id, secret, member: person.introduction } };
}

describe("sign-up", () => {
  test("H1 makes tenant, owner and device in one step and signs them in", async () => {
    const owner = await signUp();
    const { body } = await call("GET", "/api/tenant", owner);
    expect(body).toEqual({ id: owner.tenant, name: "Backhaus", residency: "eu", policy: DEFAULT_POLICY });
    expect(await members(owner)).toMatchObject([{ id: owner.member, name: "Olga", role: "owner", removedAt: null }]);
    const { body: own } = await call("GET", "/api/devices", owner);
    expect(own.devices).toMatchObject([{ id: owner.device, revokedAt: null }]);
  });

  test("H2 repeated after a lost answer succeeds again and changes nothing", async () => {
    const owner = await newcomer(newId<TenantId>());
    const first = await call("POST", "/api/tenants", { body: signupBody(owner) });
    const second = await call("POST", "/api/tenants", { body: signupBody(owner) });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(await members({ ...owner, token: second.body.token })).toHaveLength(1);
  });

  test("H2 all at once, the same sign-up makes one tenant with one owner", async () => {
    const owner = await newcomer(newId<TenantId>());
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => call("POST", "/api/tenants", { body: signupBody(owner) })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(await members({ ...owner, token: answers[0]?.body.token })).toHaveLength(1);
  });

  test.each(["tenant name", "residency", "member name", "device name", "device", "member", "keys"])(
    "H2 the same tenant id with another %s is a conflict",
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

  test("H3 without the device's own proof nobody is let in, however much is known of it", async () => {
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

  test("H3 a device its identity key has not certified is refused, and nothing is kept of it", async () => {
    const [owner, other] = [await newcomer(newId<TenantId>()), await newcomer(newId<TenantId>())];
    const body = signupBody(owner);
    body.member.device.certificate = other.introduction.device.certificate;
    expect(await call("POST", "/api/tenants", { body })).toMatchObject({ status: 403, body: { code: "forbidden" } });
    const row = await env.DIRECTORY.prepare("SELECT 1 FROM tenants WHERE id = ?").bind(owner.tenant).first();
    expect(row).toBeNull();
  });
});

describe("invites", () => {
  test("H5 shows its holder who invites, into what, and nothing more", async () => {
    const owner = await signUp("global");
    const { id, secret } = await invited(owner, { role: "admin" });
    const { body } = await call("POST", "/api/invites/look", { body: { invite: id, secret } });
    expect(body).toEqual({
      tenant: { id: owner.tenant, name: "Backhaus" },
      inviter: "Olga",
      role: "admin",
      residency: "global",
    });
  });

  test("H4 only the SHA-256 of a secret is kept", async () => {
    const owner = await signUp();
    const { id, secret, body } = await invited(owner);
    const row = await env.DIRECTORY.prepare("SELECT * FROM invites WHERE id = ?").bind(id).first();
    expect(row?.secret_hash).toBe(body.secretHash);
    expect(JSON.stringify(row)).not.toContain(secret);
  });

  test("H2 made again alike it stays one, made again otherwise it is a conflict", async () => {
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

  test("H5 expired, used up and revoked are told apart to the holder of the secret, and to nobody else", async () => {
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

  test("H4 twenty join at once on seven uses: seven are in, thirteen are told it is used up", async () => {
    const owner = await signUp();
    const invite = await invited(owner, { uses: 7 });
    const bodies = await Promise.all(Array.from({ length: 20 }, () => joinBody(owner, invite)));
    const answers = await Promise.all(bodies.map(({ body }) => call("POST", "/api/members", { body })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7);
    expect(answers.filter(({ body }) => body.code === "invite_used_up")).toHaveLength(13);
    expect(await members(owner)).toHaveLength(8);
    expect(await invites(owner)).toMatchObject([{ usesLeft: 0 }]);
  });

  test("H4 a join repeated after a lost answer spends one use, also when the last one is gone by then", async () => {
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

  test("H2 joining with a taken member or device id is a conflict and spends no use", async () => {
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

  test("H6 one who may no longer invite takes open invites along", async () => {
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

describe("members and devices", () => {
  test("H7 only owner and admins change roles, and nobody the owner's", async () => {
    const owner = await signUp();
    const [admin, member] = [await join(owner, "admin"), await join(owner)];
    const patch = (by: Person, target: MemberId, role: string) =>
      call("PATCH", `/api/members/${target}`, { token: by.token, body: { role } });
    expect((await patch(member, admin.member, "member")).body.code).toBe("forbidden");
    expect((await patch(admin, owner.member, "member")).body.code).toBe("forbidden");
    expect((await patch(owner, owner.member, "admin")).body.code).toBe("forbidden");
    expect((await patch(owner, owner.member, "owner")).body.code).toBe("malformed");
    expect((await patch(admin, member.member, "admin")).status).toBe(204);
    expect((await patch(member, admin.member, "member")).status).toBe(204);
    expect((await members(owner)).map(({ role }: { role: string }) => role).sort()).toEqual([
      "admin",
      "member",
      "owner",
    ]);
  });

  test("H8 a removed member is out at once with all its devices, and removing it again is alike", async () => {
    const owner = await signUp();
    const member = await join(owner);
    const remove = (by: Person, target: MemberId) => call("DELETE", `/api/members/${target}`, by);
    expect((await remove(member, owner.member)).body.code).toBe("forbidden");
    expect((await remove(owner, owner.member)).body.code).toBe("forbidden");
    expect((await remove(owner, member.member)).status).toBe(204);
    expect((await remove(owner, member.member)).status).toBe(204);
    expect((await call("GET", "/api/tenant", member)).body.code).toBe("device_revoked");
    expect((await signIn(member)).body.code).toBe("device_revoked");
    expect(await members(owner)).toMatchObject([{ removedAt: null }, { removedAt: expect.any(Number) }]);
  });

  test("H7 an admin may remove an admin, but neither the owner nor the owner's devices", async () => {
    const owner = await signUp();
    const [admin, other] = [await join(owner, "admin"), await join(owner, "admin")];
    expect((await call("DELETE", `/api/members/${owner.member}`, admin)).body.code).toBe("forbidden");
    expect((await call("DELETE", `/api/devices/${owner.device}`, admin)).body.code).toBe("forbidden");
    expect((await call("DELETE", `/api/members/${other.member}`, admin)).status).toBe(204);
  });

  test("H8 a revoked device is out at once; only its member and admins may revoke it", async () => {
    const owner = await signUp();
    const [anna, ben] = [await join(owner), await join(owner)];
    const foreign = await call("DELETE", `/api/devices/${anna.device}`, ben);
    const absent = await call("DELETE", `/api/devices/${newId()}`, ben);
    expect(foreign.text).toBe(absent.text);
    expect(foreign.body.code).toBe("not_found");
    expect((await call("DELETE", `/api/devices/${anna.device}`, anna)).status).toBe(204);
    expect((await call("GET", "/api/tenant", anna)).body.code).toBe("device_revoked");
    expect((await signIn(anna)).body.code).toBe("device_revoked");
    expect((await call("DELETE", `/api/devices/${ben.device}`, owner)).status).toBe(204);
    const { body } = await call("GET", `/api/devices?member=${ben.member}`, owner);
    expect(body.devices).toMatchObject([{ id: ben.device, revokedAt: expect.any(Number) }]);
  });

  test("H7 members see their own devices only", async () => {
    const owner = await signUp();
    const [anna, ben] = [await join(owner), await join(owner)];
    expect((await call("GET", `/api/devices?member=${anna.member}`, ben)).body.code).toBe("forbidden");
    expect((await call("GET", `/api/devices?member=${ben.member}`, ben)).body.devices).toHaveLength(1);
    expect((await call("GET", `/api/devices?member=${anna.member}`, owner)).body.devices).toHaveLength(1);
  });

  test("H11 a demoted admin's old token no longer opens what admins may", async () => {
    const owner = await signUp();
    const admin = await join(owner, "admin");
    expect((await call("GET", "/api/invites", admin)).status).toBe(200);
    await call("PATCH", `/api/members/${admin.member}`, { token: owner.token, body: { role: "member" } });
    expect((await call("GET", "/api/invites", admin)).body.code).toBe("forbidden");
  });

  test("H8 a departure that the mailbox did not confirm is taken up at the tenant's next sign-in", async () => {
    const owner = await signUp();
    const member = await join(owner);
    const down = {
      ...env,
      MAILBOXES: {
        getByName: () => ({ close: () => Promise.reject(Object.assign(new Error("x"), { overloaded: true })) }),
      },
    };
    const answer = await call("DELETE", `/api/members/${member.member}`, { token: owner.token, env: down as never });
    expect(answer).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect((await call("GET", "/api/tenant", member)).body.code).toBe("device_revoked");
    const closedAt = () =>
      env.DIRECTORY.prepare("SELECT closed_at FROM members WHERE id = ?").bind(member.member).first("closed_at");
    expect(await closedAt()).toBeNull();
    await signIn(owner);
    expect(await closedAt()).toEqual(expect.any(Number));
  });
});

describe("announcements", () => {
  test("H25 joining, a role, a removal and a policy are announced to everybody who is in, and to nobody else", async () => {
    const owner = await signUp();
    const [anna, ben] = [await join(owner), await join(owner)];
    const told: string[] = [];
    const MAILBOXES = {
      getByName: (name: string) => ({
        open: async () => undefined,
        close: async () => undefined,
        nudge: async ({ kind }: { kind: string }) => void told.push(`${kind} ${name.split("/")[1]}`),
      }),
    };
    const environment = { ...env, MAILBOXES } as never;
    const expectTold = (...people: { member: MemberId }[]) =>
      expect(told.splice(0).sort()).toEqual(people.map(({ member }) => `directory ${member}`).sort());
    const invite = await invited(owner);
    expectTold();
    const { body, person } = await joinBody(owner, invite);
    await call("POST", "/api/members", { body, env: environment });
    expectTold(owner, anna, ben, person);
    const asOwner = { token: owner.token, env: environment };
    await call("PATCH", `/api/members/${anna.member}`, { ...asOwner, body: { role: "admin" } });
    expectTold(owner, anna, ben, person);
    await call("DELETE", `/api/members/${ben.member}`, asOwner);
    expectTold(owner, anna, person);
    await call("PATCH", "/api/tenant", { ...asOwner, body: { policy: DEFAULT_POLICY } });
    expectTold(owner, anna, person);
  });

  test("H25 what cannot be announced is done all the same", async () => {
    const owner = await signUp();
    const anna = await join(owner);
    const MAILBOXES = { getByName: () => ({ nudge: () => Promise.reject(new Error("down")) }) };
    const answer = await call("PATCH", `/api/members/${anna.member}`, {
      token: owner.token,
      env: { ...env, MAILBOXES } as never,
      body: { role: "admin" },
    });
    expect(answer.status).toBe(204);
  });
});

describe("policy", () => {
  test("H25 owner and admins set it, and the next token carries it", async () => {
    const owner = await signUp();
    const member = await join(owner);
    const policy = { ...DEFAULT_POLICY, minExpiry: 20_000, defaultExpiry: 30_000 };
    expect((await call("PATCH", "/api/tenant", { token: member.token, body: { policy } })).body.code).toBe("forbidden");
    expect((await call("PATCH", "/api/tenant", { token: owner.token, body: { policy } })).status).toBe(204);
    expect((await call("GET", "/api/tenant", member)).body.policy).toEqual(policy);
    const claims = JSON.parse(atob(((await signIn(member)).body.token as string).split(".")[1] ?? ""));
    expect(claims.policy).toEqual(policy);
  });
});

describe("conversations", () => {
  const found = (by: Person, id: ConversationId, members: MemberId[]) =>
    call("POST", "/api/conversations", { token: by.token, body: { id, members } });

  test("H24 founded once, listed to everybody in it and to nobody else; again alike it stays one", async () => {
    const owner = await signUp();
    const [anna, ben] = [await join(owner), await join(owner)];
    const id = newId<ConversationId>();
    expect((await found(owner, id, [anna.member])).status).toBe(204);
    expect((await found(owner, id, [anna.member, anna.member, owner.member])).status).toBe(204);
    expect((await found(owner, id, [ben.member])).body.code).toBe("conflict");
    expect((await found(ben, id, [anna.member])).body.code).toBe("conflict");
    const listed = { id, createdBy: owner.member, members: [anna.member, owner.member].sort() };
    expect(await conversations(anna)).toMatchObject([listed]);
    expect(await conversations(owner)).toMatchObject([listed]);
    expect(await conversations(ben)).toEqual([]);
  });

  test("H24 founding with a removed, foreign or absent member is not_found alike", async () => {
    const [owner, stranger] = [await signUp(), await signUp()];
    const gone = await join(owner);
    await call("DELETE", `/api/members/${gone.member}`, owner);
    const answers = [];
    for (const member of [gone.member, stranger.member, newId<MemberId>()]) {
      answers.push(await found(owner, newId(), [member]));
    }
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.body.code).toBe("not_found");
  });

  test("H24 any participant adds; creator and admins remove others; anybody leaves", async () => {
    const owner = await signUp();
    const [anna, ben, carl] = [await join(owner), await join(owner), await join(owner)];
    const id = newId<ConversationId>();
    await found(anna, id, [ben.member]);
    const add = (by: Person, member: MemberId) =>
      call("POST", `/api/conversations/${id}/members`, { token: by.token, body: { member } });
    const drop = (by: Person, member: MemberId) => call("DELETE", `/api/conversations/${id}/members/${member}`, by);
    expect((await add(carl, carl.member)).body.code).toBe("not_found");
    expect((await drop(owner, ben.member)).body.code).toBe("not_found");
    expect((await add(ben, carl.member)).status).toBe(204);
    expect((await add(ben, carl.member)).status).toBe(204);
    expect((await add(ben, newId())).body.code).toBe("not_found");
    expect((await drop(ben, carl.member)).body.code).toBe("forbidden");
    expect((await drop(anna, carl.member)).status).toBe(204);
    expect((await drop(anna, carl.member)).status).toBe(204);
    expect((await drop(ben, ben.member)).status).toBe(204);
    expect((await drop(ben, ben.member)).status).toBe(204);
    expect((await add(ben, carl.member)).body.code).toBe("not_found");
    expect(await conversations(ben)).toEqual([]);
    expect(await conversations(anna)).toMatchObject([{ members: [anna.member] }]);
  });

  test("H8 a removed member is out of every list", async () => {
    const owner = await signUp();
    const anna = await join(owner);
    const id = newId<ConversationId>();
    await found(owner, id, [anna.member]);
    await call("DELETE", `/api/members/${anna.member}`, owner);
    expect(await conversations(owner)).toMatchObject([{ id, members: [owner.member] }]);
  });
});

describe("rate limits", () => {
  test("H17 sign-up counts by address, and says when to come back", async () => {
    const headers = { "cf-connecting-ip": "203.0.113.7" };
    const answers = [];
    for (let n = 0; n < 12; n++) answers.push(await call("POST", "/api/tenants", { headers, body: {} }));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.body).toEqual({ code: "rate_limited", remedy: "retry", detail: { retryAfter: 60_000 } });
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect((await call("POST", "/api/tenants", { body: {} })).status).toBe(400);
  });

  test("H17 invites and sign-in count by address too, an IPv6 caller by its /64", async () => {
    const limit = vi.fn(async () => ({ success: false }));
    const refusing = { ...env, INVITE_LIMIT: { limit }, API_LIMIT: { limit } };
    const headers = { "cf-connecting-ip": "2001:db8:1:2:3:4:5:6" };
    for (const path of ["/api/invites/look", "/api/members", "/api/tokens", "/api/challenges"]) {
      expect((await call("POST", path, { headers, body: {}, env: refusing })).status).toBe(429);
    }
    expect(limit.mock.calls).toEqual(Array(4).fill([{ key: "2001:db8:1:2" }]));
  });

  test("H17 sign-in is counted by device too, so that one office behind one address can sign in at once", async () => {
    const owner = await signUp();
    const limit = vi.fn(async () => ({ success: false }));
    const answer = await signIn(owner, { env: { ...env, SIGN_IN_LIMIT: { limit } } });
    expect(answer).toMatchObject({ status: 429, body: { code: "rate_limited" } });
    expect(limit.mock.calls).toEqual([[{ key: owner.device }]]);
  });

  test("H17 a deployment without its limits refuses, a simulated one goes on", async () => {
    const { SIGNUP_LIMIT: _, ...without } = env;
    expect((await call("POST", "/api/tenants", { body: {}, env: without })).status).toBe(400);
    const platform = { ...without, RESIDENCY: "platform" };
    expect((await call("POST", "/api/tenants", { body: {}, env: platform })).body.code).toBe("unavailable");
  });
});
