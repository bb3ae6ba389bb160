// The directory's queries against a real D1: tenants never meet in them, and a D1 that fails leaves nothing half done.

import { describe, expect, test, vi } from "vitest";
import { type ConversationId, newId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, LIMITS } from "../../schemas/policy.ts";
import { insertConversation, listConversations } from "../../workers/directory/conversations.ts";
import * as devices from "../../workers/directory/devices.ts";
import * as invites from "../../workers/directory/invites.ts";
import * as members from "../../workers/directory/members.ts";
import * as participants from "../../workers/directory/participants.ts";
import { findTenant, setPolicy } from "../../workers/directory/tenants.ts";
import type { Env } from "../../workers/env.ts";
import { call, env, join, newcomer, newInvite, type Person, signIn, signUp, signupBody } from "./support/people.ts";
import { brokenDirectory } from "./support/tokens.ts";

const db = env.DIRECTORY;

/** All rows of all tables, or those of one tenant. */
async function dump(tenant?: TenantId): Promise<string> {
  const rows: unknown[] = [];
  for (const table of ["tenants", "invites", "members", "devices", "conversations", "participants"]) {
    const where = tenant === undefined ? "" : ` WHERE ${table === "tenants" ? "id" : "tenant_id"} = '${tenant}'`;
    rows.push(table, (await db.prepare(`SELECT * FROM ${table}${where}`).all()).results);
  }
  return JSON.stringify(rows);
}

async function company() {
  const owner = await signUp();
  const member = await join(owner);
  const invite = (await newInvite({ uses: 3 })).body;
  await call("POST", "/api/invites", { token: owner.token, body: invite });
  const conversation = newId<ConversationId>();
  await call("POST", "/api/conversations", {
    token: owner.token,
    body: { id: conversation, members: [member.member] },
  });
  return { owner, member, invite, conversation, tenant: owner.tenant };
}

describe("tenants never meet", () => {
  test("H19: every query with another tenant's ids finds nothing and changes nothing", async () => {
    const [mine, theirs] = [await company(), await company()];
    const before = await dump();
    const now = Date.now();
    const { member, device } = theirs.member;
    const { conversation } = theirs;
    const t = mine.tenant;
    expect(await members.findMember(t, db, member)).toBeUndefined();
    expect(await devices.findDevice(t, db, device)).toBeUndefined();
    expect(await devices.findStanding(t, db, device)).toBeUndefined();
    expect(await devices.listDevices(t, db, member)).toEqual([]);
    expect(await participants.findSeat(t, db, { conversation, member })).toBeUndefined();
    expect(await participants.listSeats(t, db, member)).toEqual([]);
    expect(await participants.listGone(t, db, [member])).toEqual([]);
    expect(await listConversations(t, db, member)).toEqual([]);
    expect(await devices.listRevoked(t, db, 0)).toEqual([]);
    expect(await devices.listUnexpelled(t, db)).toEqual([]);
    expect(await members.listUnclosed(t, db)).toEqual([]);
    expect(await invites.revokeInvite(t, db, { invite: theirs.invite.id as never, now })).toBe(false);
    await members.setRole(t, db, { member, role: "admin", now });
    await members.removeMember(t, db, { member, now });
    await members.closeMember(t, db, { member, now });
    await devices.revokeDevice(t, db, { device, now });
    await devices.expelDevice(t, db, { device, now });
    await devices.touchDevice(t, db, { device, now });
    await participants.removeSeat(t, db, { conversation, member, now });
    expect(await participants.insertSeat(t, db, { conversation, member, now })).toEqual({
      seated: false,
      active: false,
    });
    const founding = { id: newId<ConversationId>(), createdBy: mine.owner.member, founding: "x", now };
    expect(await insertConversation(t, db, { ...founding, members: [mine.owner.member, member] })).toBeUndefined();
    expect(await dump()).toBe(before);
  });

  test("H19: the same member, device and conversation ids in two tenants are two things", async () => {
    const mine = await company();
    const tenant = newId<TenantId>();
    const twin = await newcomer(tenant);
    expect((await call("POST", "/api/tenants", { body: signupBody(twin) })).status).toBe(200);
    const rename =
      "INSERT INTO members (tenant_id, id, name, role, identity_key, created_at) SELECT ?, id, 'Twin', 'member', identity_key, created_at FROM members WHERE tenant_id = ? AND id = ?";
    await db.prepare(rename).bind(tenant, mine.tenant, mine.member.member).run();
    expect((await members.findMember(tenant, db, mine.member.member))?.name).toBe("Twin");
    expect((await members.findMember(mine.tenant, db, mine.member.member))?.name).toBe("Jonas");
    await members.removeMember(tenant, db, { member: mine.member.member, now: 1 });
    expect((await members.findMember(mine.tenant, db, mine.member.member))?.removedAt).toBeNull();
  });

  test("H25: a policy is its tenant's own", async () => {
    const [mine, theirs] = [await company(), await company()];
    await setPolicy(mine.tenant, db, { ...DEFAULT_POLICY, retention: 86_400_000 });
    expect((await findTenant(mine.tenant, db))?.policy.retention).toBe(86_400_000);
    expect((await findTenant(theirs.tenant, db))?.policy).toEqual(DEFAULT_POLICY);
  });
});

describe("guards that hold in the statement itself", () => {
  test("H7: the owner can be neither removed nor given a role, and keeps devices and invites", async () => {
    const { owner, tenant } = await company();
    const before = await dump(tenant);
    await members.removeMember(tenant, db, { member: owner.member, now: 5 });
    await members.setRole(tenant, db, { member: owner.member, role: "member", now: 5 });
    await members.closeMember(tenant, db, { member: owner.member, now: 5 });
    expect(JSON.parse(await dump(tenant))[5]).toEqual(JSON.parse(before)[5]);
    expect((await members.findMember(tenant, db, owner.member))?.removedAt).toBeNull();
  });

  test("H8: a removed member can be seated no more", async () => {
    const { member, tenant } = await company();
    const conversation = newId<ConversationId>();
    await members.removeMember(tenant, db, { member: member.member, now: 5 });
    const seat = { conversation, member: member.member, now: 6 };
    expect(await participants.insertSeat(tenant, db, seat)).toEqual({ seated: false, active: false });
  });

  test("H24: a conversation takes no more participants than its limit", async () => {
    const { owner, tenant, conversation } = await company();
    const crowd = Array.from({ length: LIMITS.participants - 1 }, () => newId());
    const fill = [
      db
        .prepare(
          "INSERT INTO members (tenant_id, id, name, role, identity_key, created_at) SELECT ?, value, 'x', 'member', 'k', 1 FROM json_each(?)",
        )
        .bind(tenant, JSON.stringify(crowd)),
      db
        .prepare("INSERT INTO participants SELECT ?, ?, value, 1, NULL FROM json_each(?)")
        .bind(tenant, conversation, JSON.stringify(crowd.slice(1))),
    ];
    await db.batch(fill);
    const body = { member: crowd[0] };
    const answer = await call("POST", `/api/conversations/${conversation}/members`, { token: owner.token, body });
    expect(answer).toMatchObject({ status: 507, body: { code: "quota" } });
  });
});

/** A D1 in which the n-th batch is `fate`: never carried out, or carried out and its answer lost. */
function faultyDirectory(
  n: number,
  fate: "refused" | "lost",
  message: string,
): Env & { readonly batches: () => number } {
  let count = 0;
  const DIRECTORY = {
    prepare: db.prepare.bind(db),
    batch: async (statements: D1PreparedStatement[]) => {
      const due = ++count === n;
      if (due && fate === "refused") throw new Error(message);
      const results = await db.batch(statements);
      if (due) throw new Error(message);
      return results;
    },
  };
  return { ...env, DIRECTORY: DIRECTORY as never, batches: () => count };
}

// Cloudflare's "Debug D1": those that say "retry", and those that do not
const TRANSIENT = [
  "D1_ERROR: Network connection lost.",
  "D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.",
  "D1_ERROR: Internal error in D1 DB storage caused object to be reset.",
  "D1 DB reset because its code was updated.",
  "D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.",
  "D1_ERROR: Can't read from request stream because client disconnected.",
];
const LASTING = [
  "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
  "D1_ERROR: D1 DB is overloaded. Too many requests queued.",
  "D1_ERROR: Exceeded maximum DB size.",
  "D1_ERROR: D1 DB exceeded its memory limit and was reset.",
  "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.",
];

describe("a D1 that fails", () => {
  test.each(TRANSIENT)("H18: %s: tried again, unnoticed", async (message) => {
    for (const fate of ["refused", "lost"] as const) {
      const owner = await newcomer(newId<TenantId>());
      const answer = await call("POST", "/api/tenants", {
        body: signupBody(owner),
        env: faultyDirectory(1, fate, message),
      });
      expect(answer.status).toBe(200);
    }
  });

  test.each([...LASTING.slice(0, 4), "something new"])(
    "H18: %s: unavailable, and the same again succeeds",
    async (message) => {
      vi.spyOn(console, "error").mockReturnValue();
      const owner = await newcomer(newId<TenantId>());
      const body = signupBody(owner);
      expect((await call("POST", "/api/tenants", { body, env: brokenDirectory(message) })).body.code).toBe(
        "unavailable",
      );
      expect((await call("POST", "/api/tenants", { body })).status).toBe(200);
    },
  );

  test("H18: a join cut off at any write, done or not, is mended by the same join and spends one use", {
    timeout: 60_000,
  }, async () => {
    vi.spyOn(console, "error").mockReturnValue();
    const owner = await signUp();
    for (const fate of ["refused", "lost"] as const) {
      for (let n = 1; n <= 3; n++) {
        const invite = await newInvite({ uses: 2 });
        await call("POST", "/api/invites", { token: owner.token, body: invite.body });
        const person = await newcomer(owner.tenant);
        const body = { invite: invite.id, secret: invite.secret, member: person.introduction };
        const faulty = faultyDirectory(n, fate, "D1_ERROR: D1 DB is overloaded.");
        expect((await call("POST", "/api/members", { body, env: faulty })).body.code).toBe("unavailable");
        expect(faulty.batches()).toBe(n);
        const again = await call("POST", "/api/members", { body });
        expect(again.status).toBe(200);
        const [row] = (await call("GET", "/api/invites", owner)).body.invites.filter(
          ({ id }: { id: string }) => id === invite.id,
        );
        expect(row.usesLeft).toBe(1);
        expect((await signIn(person)).status).toBe(200);
      }
    }
  });

  test("H18: a removal, a revocation and a founding cut off anywhere are mended by the same again", {
    timeout: 60_000,
  }, async () => {
    vi.spyOn(console, "error").mockReturnValue();
    const attempts = (owner: Person, member: Person, id: ConversationId) =>
      [
        ["POST", "/api/conversations", { id, members: [member.member] }],
        ["DELETE", `/api/devices/${member.device}`, undefined],
        ["DELETE", `/api/members/${member.member}`, undefined],
      ].map(
        ([method, path, body]) =>
          (environment: Env) =>
            call(method as string, path as string, { token: owner.token, env: environment, ...(body ? { body } : {}) }),
      );
    for (const fate of ["refused", "lost"] as const) {
      for (let n = 1; n <= 6; n++) {
        const owner = await signUp();
        const member = await join(owner);
        for (const attempt of attempts(owner, member, newId<ConversationId>())) {
          const first = await attempt(faultyDirectory(n, fate, "D1_ERROR: D1 DB is overloaded."));
          expect([204, 503]).toContain(first.status);
          expect((await attempt(env)).status).toBe(204);
        }
        const open = "SELECT 1 FROM members WHERE tenant_id = ? AND removed_at IS NOT NULL AND closed_at IS NULL";
        expect(await db.prepare(open).bind(owner.tenant).first()).toBeNull();
      }
    }
  });

  test("H19: no statement is made of what a client sent", async () => {
    const texts = async () => {
      const seen = new Set<string>();
      const prepare = (text: string) => {
        seen.add(text);
        return db.prepare(text);
      };
      const watched = { ...env, DIRECTORY: { prepare, batch: db.batch.bind(db) } as never };
      const owner = await newcomer(newId<TenantId>(), `x'; DROP TABLE members; -- ${newId()}`);
      const { body } = await call("POST", "/api/tenants", { body: signupBody(owner), env: watched });
      const { token } = body;
      await call("POST", "/api/invites", { token, body: (await newInvite()).body, env: watched });
      for (const path of ["members", "invites", "devices", "conversations", "tenant"]) {
        expect((await call("GET", `/api/${path}`, { token, env: watched })).status).toBe(200);
      }
      await call("POST", "/api/conversations", { token, body: { id: newId(), members: [] }, env: watched });
      return seen;
    };
    expect(await texts()).toEqual(await texts());
  });
});
