// Members, devices, roles, announcements and the policy through the routes, against a real D1.

import { describe, expect, test } from "vitest";
import { type MemberId, newId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY } from "../../schemas/policy.ts";
import { announceChange } from "../../workers/announcement.ts";
import { invited, joinBody } from "./support/invitations.ts";
import { call, env, join, type Person, signIn, signUp } from "./support/people.ts";

const members = async (person: Person) => (await call("GET", "/api/members", person)).body.members;

describe("members and devices", () => {
  test("H7: only owner and admins change roles, and nobody the owner's", async () => {
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

  test("H8: a removed member is out at once with all its devices, and removing it again is alike", async () => {
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

  test("H7: an admin may remove an admin, but neither the owner nor the owner's devices", async () => {
    const owner = await signUp();
    const [admin, other] = [await join(owner, "admin"), await join(owner, "admin")];
    expect((await call("DELETE", `/api/members/${owner.member}`, admin)).body.code).toBe("forbidden");
    expect((await call("DELETE", `/api/devices/${owner.device}`, admin)).body.code).toBe("forbidden");
    expect((await call("DELETE", `/api/members/${other.member}`, admin)).status).toBe(204);
  });

  test("H8: a revoked device is out at once; only its member and admins may revoke it", async () => {
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

  test("H7: members see their own devices only", async () => {
    const owner = await signUp();
    const [anna, ben] = [await join(owner), await join(owner)];
    expect((await call("GET", `/api/devices?member=${anna.member}`, ben)).body.code).toBe("forbidden");
    expect((await call("GET", `/api/devices?member=${ben.member}`, ben)).body.devices).toHaveLength(1);
    expect((await call("GET", `/api/devices?member=${anna.member}`, owner)).body.devices).toHaveLength(1);
  });

  test("H11: a demoted admin's old token no longer opens what admins may", async () => {
    const owner = await signUp();
    const admin = await join(owner, "admin");
    expect((await call("GET", "/api/invites", admin)).status).toBe(200);
    await call("PATCH", `/api/members/${admin.member}`, { token: owner.token, body: { role: "member" } });
    expect((await call("GET", "/api/invites", admin)).body.code).toBe("forbidden");
  });

  test("H8: a departure that the mailbox did not confirm is taken up at the tenant's next sign-in", async () => {
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
  test("H25: joining, a role, a removal and a policy are announced to everybody who is in, and to nobody else", async () => {
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

  test("H25: changes in quick succession are announced together", async () => {
    const owner = await signUp();
    await join(owner);
    let nudges = 0;
    const nudge = async (): Promise<void> => void nudges++;
    const environment = { ...env, MAILBOXES: { getByName: () => ({ nudge }) } } as never;
    const place = { tenant: owner.tenant, residency: "eu" } as const;
    await Promise.all(Array.from({ length: 10 }, () => announceChange(environment, place)));
    expect(nudges).toBe(2 * 2);
  });

  test("H25: what cannot be announced is done all the same", async () => {
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
  test("H25: owner and admins set it, and the next token carries it", async () => {
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
