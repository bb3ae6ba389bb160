// A member who lost everything is invited anew: another identity key and one device, and nothing of the old ones left, on the real runtime.

import { beforeEach, describe, expect, test, vi } from "vitest";
import { fromBase64url, randomBytes } from "../../schemas/bytes.ts";
import { certificatePayload, introductionPayload } from "../../schemas/credential.ts";
import { type GrantId, type InviteId, newId, type VaultId } from "../../schemas/ids.ts";
import { decodeKeyEvent } from "../../schemas/key-event.ts";
import { sweepDepartures } from "../../workers/departures.ts";
import { admitDevice } from "../../workers/directory/admissions.ts";
import { listUnemptied } from "../../workers/directory/returns.ts";
import {
  call,
  closingOf,
  env,
  fetchWorker,
  join,
  newcomer,
  newDevice,
  newInvite,
  openSocket,
  type Person,
  signIn,
  signUp,
} from "./support/people.ts";
import { enrol, newPhrase } from "./support/phrases.ts";

type Link = Awaited<ReturnType<typeof newInvite>>;

async function invitedAgain(by: Person, member: string, options: object = {}): Promise<Link> {
  const invite = await newInvite({ member: member as Person["member"], ...options });
  expect((await call("POST", "/api/invites", { token: by.token, body: invite.body })).status).toBe(204);
  return invite;
}

/** Somebody who comes back as `old` with new keys. */
async function comer({ tenant, member }: Person, name = "Jonas") {
  const fresh = await newcomer(tenant, name);
  const { identity, deviceKey, device } = fresh;
  const certified = certificatePayload({ tenant, member, device, signatureKey: deviceKey.bytes });
  const introduced = introductionPayload({ tenant, member, device, identityKey: identity.bytes });
  const introduction = {
    ...fresh.introduction,
    id: member,
    device: {
      ...fresh.introduction.device,
      certificate: await identity.sign(certified),
      proof: await deviceKey.sign(introduced),
    },
  };
  return { ...fresh, member, introduction };
}

const use = ({ id, secret }: { id: InviteId; secret: string }, { introduction }: Awaited<ReturnType<typeof comer>>) =>
  call("POST", "/api/members", { body: { invite: id, secret, member: introduction } });

const put = (person: Person, id: string) =>
  fetchWorker(`/api/vault/backup/${id}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${person.token}` },
    body: randomBytes(64),
  });
const inVault = async (person: Person) => (await call("GET", "/api/vault/backup", person)).body.objects;
const inBucket = async (person: Person) => (await env.VAULT.list({ prefix: `eu/${person.tenant}/` })).objects.length;

let owner: Person;
let jonas: Person;
beforeEach(async () => {
  owner = await signUp();
  jonas = await join(owner, "admin");
});

describe("an invite for a member there is", () => {
  test("H30: says who comes back, is good once, and lets in nobody else", async () => {
    const invite = await invitedAgain(owner, jonas.member);
    const look = await call("POST", "/api/invites/look", { body: { invite: invite.id, secret: invite.secret } });
    expect(look.body).toMatchObject({ role: "admin", returning: { id: jonas.member, name: "Jonas" } });
    const { body } = await call("GET", "/api/invites", owner);
    expect(body.invites[0]).toMatchObject({ id: invite.id, member: jonas.member, role: "admin", usesLeft: 1 });
    expect((await use(invite, await newcomer(owner.tenant))).body.code).toBe("not_found");
    expect((await call("GET", "/api/tenant", jonas)).status).toBe(200);
    expect((await use(invite, await comer(jonas))).status).toBe(200);
    expect((await use(invite, await comer(jonas))).body.code).toBe("invite_used_up");
  });

  test("H30: is made by owner and admins, once, for members who are in, and never for the owner", async () => {
    const [admin, member, gone] = [jonas, await join(owner), await join(owner)];
    await call("DELETE", `/api/members/${gone.member}`, owner);
    const ask = async (by: Person, who: string, more = {}) => {
      const { body } = await newInvite({ member: who as Person["member"], ...more });
      return (await call("POST", "/api/invites", { token: by.token, body })).body?.code ?? "made";
    };
    expect(await ask(member, admin.member)).toBe("forbidden");
    expect(await ask(admin, owner.member)).toBe("forbidden");
    expect(await ask(admin, gone.member)).toBe("not_found");
    expect(await ask(admin, (await signUp()).member)).toBe("not_found");
    expect(await ask(admin, member.member, { uses: 2 })).toBe("malformed");
    expect(await ask(admin, member.member)).toBe("made");
    const invite = await invitedAgain(admin, member.member);
    const other = { ...invite.body, member: admin.member };
    expect((await call("POST", "/api/invites", { token: admin.token, body: invite.body })).status).toBe(204);
    expect((await call("POST", "/api/invites", { token: admin.token, body: other })).body.code).toBe("conflict");
  });

  test("H30: of a member who was removed since, and one that is over or withdrawn, lets nobody in", async () => {
    const [member, another] = [await join(owner), await join(owner)];
    const [removed, revoked, late] = [
      await invitedAgain(owner, member.member),
      await invitedAgain(owner, another.member),
      await invitedAgain(owner, jonas.member),
    ];
    await call("DELETE", `/api/members/${member.member}`, owner);
    await call("DELETE", `/api/invites/${revoked.id}`, owner);
    await env.DIRECTORY.prepare("UPDATE invites SET expires_at = 1 WHERE id = ?").bind(late.id).run();
    expect((await use(removed, await comer(member))).body.code).toBe("invite_revoked");
    expect((await use(revoked, await comer(another))).body.code).toBe("invite_revoked");
    expect((await use(late, await comer(jonas))).body.code).toBe("invite_expired");
    expect((await call("GET", "/api/tenant", jonas)).status).toBe(200);
  });
});

describe("an invite for the owner", () => {
  const tenants = (tenant: string) => `/api/operator/tenants/${tenant}/owner-return`;
  const offer = async (tenant: string, body: object, token = env.OPERATOR_SECRET) =>
    call("POST", tenants(tenant), { token, body });
  const made = async ({ tenant }: Person) => {
    const { id, secret, body } = await newInvite();
    const { secretHash, expiresIn } = body;
    expect((await offer(tenant, { id, secretHash, expiresIn })).status).toBe(204);
    return { id, secret, body: { id, secretHash, expiresIn } };
  };

  test("H67: is made by the operator alone, once, and is listed as nobody's", async () => {
    const invite = await made(owner);
    expect((await offer(owner.tenant, invite.body)).status).toBe(204);
    expect((await offer(owner.tenant, { ...invite.body, expiresIn: 60_000 })).body.code).toBe("conflict");
    expect((await offer((await signUp()).tenant, invite.body)).body.code).toBe("conflict");
    expect((await offer(newId(), invite.body)).body.code).toBe("not_found");
    expect((await offer(owner.tenant, { ...invite.body, role: "owner" })).body.code).toBe("malformed");
    for (const token of [owner.token, jonas.token, "", `${env.OPERATOR_SECRET}x`]) {
      expect((await offer(owner.tenant, (await newInvite()).body, token)).body.code).toBe("not_found");
    }
    const { body } = await call("GET", "/api/invites", jonas);
    const facts = { id: invite.id, role: "owner", member: owner.member, createdBy: null, usesLeft: 1 };
    expect(body.invites).toMatchObject([facts, { createdBy: owner.member }]);
    const look = await call("POST", "/api/invites/look", { body: { invite: invite.id, secret: invite.secret } });
    expect(look.body).toMatchObject({ role: "owner", inviter: null, returning: { id: owner.member, name: "Olga" } });
  });

  test("H67: makes whoever uses it the owner with another key, and puts everything of the old one out", async () => {
    const phrase = await newPhrase();
    expect((await enrol(owner, phrase)).status).toBe(204);
    expect((await put(owner, newId<VaultId>())).status).toBe(204);
    const own = await newInvite();
    await call("POST", "/api/invites", { token: owner.token, body: own.body });
    const [first, second] = [await made(owner), await made(owner)];
    const closing = closingOf(await openSocket("/api/mailbox/socket", owner.token));
    const back = await comer(owner, "Somebody else");
    const answer = await use(first, back);
    expect(answer.status).toBe(200);
    expect((await use(first, back)).status).toBe(200);
    const person: Person = { ...back, token: answer.body.token };
    expect(await closing).toEqual({ code: 4000, reason: "device_revoked" });
    expect((await signIn(owner)).body.code).toBe("device_revoked");
    const { body } = await call("GET", "/api/members", jonas);
    const row = body.members.find(({ id }: { id: string }) => id === owner.member);
    expect(row).toMatchObject({ name: "Olga", role: "owner", identityKey: back.identity.publicKey });
    expect((await call("GET", "/api/recovery", person)).body.recovery).toBeNull();
    expect([await inVault(person), await inBucket(person)]).toEqual([[], 0]);
    expect((await use(second, await comer(owner))).body.code).toBe("invite_revoked");
    const { body: all } = await call("GET", "/api/invites", person);
    expect(all.invites.find(({ id }: { id: string }) => id === own.id).revokedAt).toEqual(expect.any(Number));
    expect((await call("DELETE", `/api/members/${jonas.member}`, person)).status).toBe(204);
  });

  test("H67: lets in nobody else, and nobody once owner or admins have withdrawn it", async () => {
    const invite = await made(owner);
    expect((await use(invite, await comer(jonas))).body.code).toBe("not_found");
    expect((await use(invite, await newcomer(owner.tenant))).body.code).toBe("not_found");
    expect((await call("DELETE", `/api/invites/${invite.id}`, jonas)).status).toBe(204);
    expect((await use(invite, await comer(owner))).body.code).toBe("invite_revoked");
    expect((await call("GET", "/api/tenant", owner)).status).toBe(200);
  });

  test("H67: an admin's invite is never for the owner, whatever becomes of its row", async () => {
    const invite = await invitedAgain(owner, jonas.member);
    const { DIRECTORY } = env;
    await DIRECTORY.prepare("UPDATE invites SET member_id = ? WHERE id = ?").bind(owner.member, invite.id).run();
    expect((await use(invite, await comer(owner))).body.code).toBe("conflict");
    const asOwner = DIRECTORY.prepare("UPDATE invites SET role = 'owner' WHERE id = ?").bind(invite.id);
    await expect(asOwner.run()).rejects.toThrow(/CHECK/);
    expect((await call("GET", "/api/tenant", owner)).status).toBe(200);
  });
});

describe("coming back", () => {
  test("H31: puts every earlier device, the phrase, the backup and the member's own invites out at once", async () => {
    const phrase = await newPhrase();
    expect((await enrol(jonas, phrase)).status).toBe(204);
    for (const _ of [1, 2, 3]) expect((await put(jonas, newId<VaultId>())).status).toBe(204);
    const own = await newInvite();
    await call("POST", "/api/invites", { token: jonas.token, body: own.body });
    const [first, second] = [await invitedAgain(owner, jonas.member), await invitedAgain(owner, jonas.member)];
    const closing = closingOf(await openSocket("/api/mailbox/socket", jonas.token));

    const back = await comer(jonas, "Somebody else");
    const answer = await use(first, back);
    expect(answer.status).toBe(200);
    const person: Person = { ...back, token: answer.body.token };
    expect((await call("GET", "/api/tenant", jonas)).body.code).toBe("device_revoked");
    expect((await signIn(jonas)).body.code).toBe("device_revoked");
    expect(await closing).toEqual({ code: 4000, reason: "device_revoked" });
    const { body } = await call("GET", "/api/members", person);
    const row = body.members.find(({ id }: { id: string }) => id === jonas.member);
    expect(row).toMatchObject({ name: "Jonas", role: "admin", identityKey: back.identity.publicKey });
    expect((await call("GET", "/api/recovery", person)).body.recovery).toBeNull();
    expect([await inVault(person), await inBucket(person)]).toEqual([[], 0]);
    const others = [
      await call("POST", "/api/members", {
        body: { invite: own.id, secret: own.secret, member: (await newcomer(owner.tenant)).introduction },
      }),
      await use(second, await comer(jonas)),
    ];
    const codes = others.map((refused) => refused.body.code);
    expect(codes).toEqual(["invite_revoked", "invite_revoked"]);
    expect(await call("POST", "/api/recovery/challenges", { body: { lookup: phrase.lookup } })).toMatchObject({
      status: 200,
    });
  });

  test("H32: repeated after a lost answer succeeds again, and touches nothing that came since", async () => {
    const invite = await invitedAgain(owner, jonas.member);
    const back = await comer(jonas);
    const all = await Promise.all(Array.from({ length: 4 }, () => use(invite, back)));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const person: Person = { ...back, token: all[0]?.body.token };
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await put(person, newId<VaultId>())).status).toBe(204);
    expect((await use(invite, back)).status).toBe(200);
    expect(await inVault(person)).toHaveLength(1);
    const { body } = await call("GET", "/api/devices", person);
    expect(body.devices.filter(({ revokedAt }: { revokedAt: number | null }) => revokedAt === null)).toHaveLength(1);
  });

  test("H31: cut off before the vault was emptied, that is taken up at the next sign-in, and the new backup stays", async () => {
    await put(jonas, newId<VaultId>());
    const invite = await invitedAgain(owner, jonas.member);
    const back = await comer(jonas);
    const broken = vi.spyOn(env.VAULT, "delete").mockRejectedValue(new Error("R2 is away"));
    expect((await use(invite, back)).status).toBe(503);
    expect((await call("GET", "/api/tenant", jonas)).body.code).toBe("device_revoked");
    broken.mockRestore();
    expect(await listUnemptied(owner.tenant, env.DIRECTORY)).toMatchObject([{ member: jonas.member }]);
    await sweepDepartures(env, { tenant: owner.tenant, residency: "eu" });
    expect([await inBucket(owner), await listUnemptied(owner.tenant, env.DIRECTORY)]).toEqual([0, []]);
    expect((await use(invite, back)).status).toBe(200);
  });

  test("H33: what the old identity key certifies is let in by no permission any more", async () => {
    const { device } = await newDevice(jonas);
    const invite = await invitedAgain(owner, jonas.member);
    await use(invite, await comer(jonas));
    const entry = { ...device, grant: newId<GrantId>(), member: jonas.member, now: Date.now() };
    const old = { ...entry, identityKey: jonas.introduction.identityKey };
    expect(await admitDevice(jonas.tenant, env.DIRECTORY, old)).toBe("out");
  });

  test("J14: the key log has the new key, the end of the old devices, and the new device, which alone is certified by it", async () => {
    const invite = await invitedAgain(owner, jonas.member);
    const back = await comer(jonas);
    const { size } = (await call("GET", "/api/keys/head", owner)).body;
    await use(invite, back);
    await call("GET", "/api/keys/head", owner);
    const { body } = await call("GET", `/api/keys/leaves?from=${size}`, owner);
    const events = body.leaves.map((leaf: string) => decodeKeyEvent(fromBase64url(leaf) ?? new Uint8Array()));
    expect(events).toHaveLength(3);
    expect(events).toContainEqual({ type: "member", member: jonas.member, identityKey: back.identity.bytes });
    expect(events).toContainEqual({ type: "revoked", member: jonas.member, device: jonas.device });
    expect(events[2]).toMatchObject({ type: "device", member: jonas.member, device: back.device });
  });
});
