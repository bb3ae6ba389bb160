// Shares through their routes, on the real runtime: who is given one, what a revocation leaves of it, and how often a passphrase may be tried.

import { afterEach, describe, expect, test, vi } from "vitest";
import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import { type GrantId, type LinkId, newId, type TenantId } from "../../schemas/ids.ts";
import { grantPayload } from "../../schemas/linking.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { TRY_DELAYS } from "../../workers/directory/shares.ts";
import {
  type Answer,
  call,
  env,
  fetchWorker,
  join,
  type Newcomer,
  newAddress,
  newcomer,
  newDevice,
  newInvite,
  type Person,
  signUp,
  signupBody,
  suspend,
} from "./support/people.ts";

const hash = async (secret: Uint8Array<ArrayBuffer>): Promise<string> =>
  toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", secret)));

/** A share as a client makes it: what it brings, and what it asks with. */
async function newShare() {
  const [secret, share] = [randomBytes(32), toBase64url(randomBytes(32))];
  return { secret: toBase64url(secret), share, brought: { unlockHash: await hash(secret), share } };
}
type Share = Awaited<ReturnType<typeof newShare>>;

async function newPassphrase() {
  const verifier = randomBytes(32);
  return { verifier: toBase64url(verifier), verifierHash: await hash(verifier) };
}

const open = ({ secret }: Share, verifier: string | null = null): Promise<Answer> =>
  call("POST", "/api/shares/open", { body: { secret, verifier } });

async function change({ secret, share }: Share, verifierHash: string | null = null) {
  const next = await newShare();
  const body = { secret, share, next: { ...next.brought, verifierHash } };
  return { next, body, answer: await call("POST", "/api/shares/change", { body }) };
}

const carrying = (person: Newcomer, { brought }: Share): Newcomer => ({
  ...person,
  introduction: { ...person.introduction, device: { ...person.introduction.device, share: brought } as never },
});

/** An owner whose device has brought a share. */
async function sealed() {
  const share = await newShare();
  const owner = carrying(await newcomer(newId<TenantId>(), "Olga"), share);
  const { body } = await call("POST", "/api/tenants", { body: signupBody(owner) });
  return { owner: { ...owner, token: body.token as string }, share };
}

/** The same, with an app lock. */
async function guarded() {
  const { owner, share } = await sealed();
  const passphrase = await newPassphrase();
  const { next } = await change(share, passphrase.verifierHash);
  return { owner, share: next, right: passphrase.verifier };
}

/** Another device of a person, let in by the first, with a share or without. */
async function link(person: Person, share?: Share): Promise<Person> {
  const { device, deviceKey } = await newDevice(person);
  const { tenant, member, device: by } = person;
  const [id, expiresAt] = [newId<GrantId>(), Date.now() + 60_000];
  const payload = grantPayload({ tenant, member, by, grant: id, expiresAt });
  const grant = { id, by, expiresAt, signature: await person.deviceKey.sign(payload) };
  const body = { tenant, grant, device: { ...device, ...(share && { share: share.brought }) } };
  const answer = await call("POST", "/api/devices", { body });
  expect(answer.status).toBe(200);
  return { ...person, device: device.id, deviceKey, token: answer.body.token };
}

const wrong = (): string => toBase64url(randomBytes(32));
const rowOf = (tenant: TenantId) =>
  env.DIRECTORY.prepare("SELECT * FROM shares WHERE tenant_id = ?").bind(tenant).first();
const shape = ({ status, body }: Answer) => [status, body?.code, body?.detail];

afterEach(() => vi.useRealTimers());
const at = (now: number): void => {
  vi.useFakeTimers({ toFake: ["Date"], now });
};

describe("the entrance", () => {
  test("H40: sign-up, joining and linking each bring the share of their device, and its secret alone is given it back", async () => {
    const { owner, share } = await sealed();
    expect(shape(await open(share))).toEqual([200, undefined, undefined]);
    expect((await open(share)).body).toEqual({ share: share.share });

    const invite = await newInvite();
    await call("POST", "/api/invites", { token: owner.token, body: invite.body });
    const second = await newShare();
    const joiner = carrying(await newcomer(owner.tenant), second);
    const body = { invite: invite.id, secret: invite.secret, member: joiner.introduction };
    expect((await call("POST", "/api/members", { body })).status).toBe(200);
    expect((await open(second)).body).toEqual({ share: second.share });

    const third = await newShare();
    await link(owner, third);
    expect((await open(third)).body).toEqual({ share: third.share });
  });

  test("H40: of the secret only its hash is kept", async () => {
    const { owner, share } = await sealed();
    const row = JSON.stringify(await rowOf(owner.tenant));
    expect(row).toContain(share.brought.unlockHash);
    expect(row).not.toContain(share.secret);
  });

  test("H40: who is not let in leaves no share, and a repeated sign-up does not bring back one that was changed", async () => {
    const { owner, share } = await sealed();
    const stranger = carrying(await newcomer(owner.tenant), await newShare());
    expect((await call("POST", "/api/tenants", { body: signupBody(stranger) })).status).toBe(409);
    const { next } = await change(share);
    expect((await call("POST", "/api/tenants", { body: signupBody(owner) })).status).toBe(200);
    expect((await open(share)).status).toBe(404);
    expect((await open(next)).body).toEqual({ share: next.share });
  });

  test("H40: a store whose first introduction nobody answered takes its share along to the device it introduces next", async () => {
    const { owner, share } = await sealed();
    const again = carrying(await newcomer(newId<TenantId>(), "Olga"), share);
    const { body } = await call("POST", "/api/tenants", { body: signupBody(again) });
    await call("DELETE", `/api/devices/${owner.device}`, owner);
    expect((await open(share)).body).toEqual({ share: share.share });
    await call("DELETE", `/api/devices/${again.device}`, { token: body.token });
    expect((await open(share)).body.code).toBe("device_revoked");
  });

  test("H40: nobody gets hold of a share by bringing its hash with another one", async () => {
    const { share } = await sealed();
    const thief = carrying(await newcomer(newId<TenantId>()), {
      ...share,
      brought: { ...share.brought, share: wrong() },
    });
    await call("POST", "/api/tenants", { body: signupBody(thief) });
    expect((await open(share)).body).toEqual({ share: share.share });
  });
});

describe("a code", () => {
  /** A meeting place in which a new device has left its share. */
  async function entered() {
    const [owner, share] = [await signUp(), await newShare()];
    const [id, offer] = [toBase64url(randomBytes(16)) as LinkId, toBase64url(randomBytes(100))];
    await call("POST", "/api/links", { token: owner.token, body: { id, offer } });
    const body = { bytes: toBase64url(randomBytes(100)), share: share.brought };
    const answer = (change: Partial<typeof body> = {}) =>
      call("POST", `/api/links/${id}/hello`, { body: { ...body, ...change } });
    expect((await answer()).status).toBe(204);
    return { owner, share, id, answer };
  }

  test("S39: the share that comes with the answer to a code is given for its secret alone, and the meeting place does not show it", async () => {
    const { share, id } = await entered();
    expect((await open(share)).body).toEqual({ share: share.share });
    expect((await open(await newShare())).status).toBe(404);
    const { text } = await call("GET", `/api/links/${id}`);
    for (const part of [share.share, share.brought.unlockHash]) expect(text).not.toContain(part);
  });

  test("S39: no later answer replaces it, also not with the same bytes", async () => {
    const { share, answer } = await entered();
    const other = await newShare();
    expect((await answer()).status).toBe(204);
    expect((await answer({ share: other.brought })).status).toBe(204);
    const stranger = { bytes: toBase64url(randomBytes(100)), share: other.brought };
    expect((await answer(stranger)).status).toBe(409);
    expect((await open(share)).body).toEqual({ share: share.share });
    expect((await open(other)).status).toBe(404);
  });

  test("S39: it is gone with the meeting place, or when its ten minutes are over", async () => {
    const { share, id } = await entered();
    at(Date.now() + LIMITS.linkLife);
    expect((await open(share)).status).toBe(404);
    vi.useRealTimers();
    expect((await open(share)).status).toBe(200);
    expect((await call("DELETE", `/api/links/${id}`)).status).toBe(204);
    expect((await open(share)).status).toBe(404);
  });

  test("S39: a device that is in has brought it along, and it outlives the meeting place", async () => {
    const { owner, share, id } = await entered();
    const phone = await link(owner, share);
    await call("DELETE", `/api/links/${id}`);
    expect((await open(share)).body).toEqual({ share: share.share });
    await call("DELETE", `/api/devices/${phone.device}`, owner);
    expect((await open(share)).body.code).toBe("device_revoked");
  });
});

describe("the end", () => {
  test("H41: a revoked device's share is destroyed with the revocation, and only its secret learns of it", async () => {
    const { owner, share } = await sealed();
    expect((await call("DELETE", `/api/devices/${owner.device}`, owner)).status).toBe(204);
    expect(await rowOf(owner.tenant)).toMatchObject({ share: null, verifier_hash: null });
    expect(shape(await open(share))).toEqual([403, "device_revoked", {}]);
    expect(shape((await change(share)).answer)).toEqual([403, "device_revoked", {}]);
    const unknown = await newShare();
    expect(shape(await open(unknown))).toEqual([404, "not_found", {}]);
    expect(shape((await change(unknown)).answer)).toEqual([404, "not_found", {}]);
    expect((await call("POST", "/api/tenants", { body: signupBody(owner) })).body.code).toBe("device_revoked");
    expect(await rowOf(owner.tenant)).toMatchObject({ share: null });
  });

  test("H41: the shares of a removed member are destroyed with the removal", async () => {
    const owner = await signUp();
    const invite = await newInvite();
    await call("POST", "/api/invites", { token: owner.token, body: invite.body });
    const share = await newShare();
    const joiner = carrying(await newcomer(owner.tenant), share);
    const body = { invite: invite.id, secret: invite.secret, member: joiner.introduction };
    await call("POST", "/api/members", { body });
    await call("DELETE", `/api/members/${joiner.member}`, owner);
    expect(await rowOf(owner.tenant)).toMatchObject({ share: null });
    expect((await open(share)).body.code).toBe("device_revoked");
  });

  test("H41: the revocation of one device leaves the share of another", async () => {
    const { owner, share } = await sealed();
    const other = await join(owner);
    await call("DELETE", `/api/devices/${other.device}`, owner);
    expect((await open(share)).status).toBe(200);
  });

  test("H41: a suspended company's shares are refused and kept, and its tries are not counted", async () => {
    const { owner, share, right } = await guarded();
    await suspend(owner.tenant);
    for (const verifier of [null, right, wrong()]) {
      expect(shape(await open(share, verifier))).toEqual([403, "tenant_suspended", {}]);
    }
    expect(shape((await change(share)).answer)).toEqual([403, "tenant_suspended", {}]);
    await env.DIRECTORY.prepare("UPDATE tenants SET suspended_at = NULL WHERE id = ?").bind(owner.tenant).run();
    expect(await rowOf(owner.tenant)).toMatchObject({ wrong_tries: 0 });
    expect((await open(share, right)).body).toEqual({ share: share.share });
  });
});

describe("a passphrase", () => {
  test("H42: without it a guarded share is not given, and asking without one is no try", async () => {
    const { owner, share, right } = await guarded();
    expect(shape(await open(share))).toEqual([403, "forbidden", { reason: "guarded" }]);
    expect(await rowOf(owner.tenant)).toMatchObject({ wrong_tries: 0 });
    expect((await open(share, right)).body).toEqual({ share: share.share });
  });

  test("H42: from the fifth wrong try on the next one has to wait, longer each time, and after the tenth there is none", async () => {
    const { share, right } = await guarded();
    let now = Date.now();
    for (const [before, delay] of TRY_DELAYS.entries()) {
      at(now);
      const left = TRY_DELAYS.length - before - 1;
      const said = left === 0 ? { reason: "locked" } : { reason: "wrong", left, retryAfter: delay };
      expect(shape(await open(share, wrong()))).toEqual([403, "forbidden", said]);
      if (delay > 0) {
        // Too early even for the right one, which is not looked at
        at(now + delay - 1);
        expect(shape(await open(share, right))).toEqual([429, "rate_limited", { reason: "passphrase", retryAfter: 1 }]);
      }
      now += delay;
    }
    at(now + 365 * 86_400_000);
    expect(shape(await open(share, right))).toEqual([403, "forbidden", { reason: "locked" }]);
  });

  test("H42: the right one sets the count back", async () => {
    const { owner, share, right } = await guarded();
    for (const _ of [1, 2, 3, 4]) await open(share, wrong());
    expect((await open(share, right)).status).toBe(200);
    expect(await rowOf(owner.tenant)).toMatchObject({ wrong_tries: 0, retry_at: 0 });
  });

  test("H42: however many try at once, only five are looked at", async () => {
    const { owner, share, right } = await guarded();
    const answers = await Promise.all(Array.from({ length: 30 }, () => open(share, wrong())));
    const codes = answers.map(({ body }) => body.code);
    expect(codes.filter((code) => code === "forbidden")).toHaveLength(5);
    expect(codes.filter((code) => code === "rate_limited")).toHaveLength(25);
    expect(await rowOf(owner.tenant)).toMatchObject({ wrong_tries: 5 });
    expect((await open(share, right)).body.code).toBe("rate_limited");
  });

  test("H42: one share is asked for so often a minute at most, from wherever", async () => {
    const { share } = await sealed();
    const ask = () => {
      const headers = { "cf-connecting-ip": newAddress() };
      const body = JSON.stringify({ secret: share.secret, verifier: null });
      return fetchWorker("/api/shares/open", { method: "POST", headers, body });
    };
    const statuses = [];
    for (let asked = 0; asked < 70; asked++) statuses.push((await ask()).status);
    expect(statuses).toContain(429);
    expect(statuses[0]).toBe(200);
  });
});

describe("a change", () => {
  test("H43: another share takes the place of one that is open; the earlier one is gone", async () => {
    const { owner, share } = await sealed();
    const { next, answer, body } = await change(share);
    expect(answer.status).toBe(204);
    expect((await call("POST", "/api/shares/change", { body })).status).toBe(204);
    expect((await open(share)).status).toBe(404);
    expect((await open(next)).body).toEqual({ share: next.share });
    expect(JSON.stringify(await rowOf(owner.tenant))).not.toContain(share.share);
  });

  test("H43: whoever knows the secret but not the share changes nothing, so a lock is not taken off without the passphrase", async () => {
    const { share, right } = await guarded();
    expect(shape((await change({ ...share, share: wrong() })).answer)).toEqual([404, "not_found", {}]);
    expect((await open(share)).body.code).toBe("forbidden");
    expect((await open(share, right)).status).toBe(200);
  });

  test("H43: a hash that is taken is refused, and both shares stay", async () => {
    const [one, other] = [await sealed(), await sealed()];
    const next = { ...other.share.brought, verifierHash: null };
    const body = { secret: one.share.secret, share: one.share.share, next: { ...next, share: wrong() } };
    expect((await call("POST", "/api/shares/change", { body })).status).toBe(404);
    expect((await open(one.share)).body).toEqual({ share: one.share.share });
    expect((await open(other.share)).body).toEqual({ share: other.share.share });
  });
});

describe("a release", () => {
  test("H44: an own device lets passphrases be tried again at one that took too many, and sees which does", async () => {
    const { owner, share, right } = await guarded();
    const sibling = await link(owner);
    const lockedOut = async () => {
      const { body } = await call("GET", "/api/devices", sibling);
      return (body.devices as { id: string; lockedOut: boolean }[])
        .filter((each) => each.lockedOut)
        .map((each) => each.id);
    };
    let now = Date.now();
    for (const delay of TRY_DELAYS) {
      expect(await lockedOut()).toEqual([]);
      at(now);
      await open(share, wrong());
      vi.useRealTimers();
      now += delay;
    }
    at(now);
    expect((await open(share, right)).body.detail).toEqual({ reason: "locked" });
    vi.useRealTimers();
    expect(await lockedOut()).toEqual([owner.device]);
    expect((await call("POST", `/api/devices/${owner.device}/release`, sibling)).status).toBe(204);
    expect(await lockedOut()).toEqual([]);
    expect((await open(share, right)).body).toEqual({ share: share.share });
  });

  test("H44: nobody else releases a device, not the company's owner either, and a destroyed share stays destroyed", async () => {
    const { owner, share } = await sealed();
    const admin = await join(owner, "admin");
    expect((await call("POST", `/api/devices/${owner.device}/release`, admin)).status).toBe(404);
    expect((await call("POST", `/api/devices/${admin.device}/release`, owner)).status).toBe(404);
    const sibling = await link(owner);
    await call("DELETE", `/api/devices/${owner.device}`, sibling);
    expect((await call("POST", `/api/devices/${owner.device}/release`, sibling)).status).toBe(204);
    expect((await open(share)).body.code).toBe("device_revoked");
  });
});
