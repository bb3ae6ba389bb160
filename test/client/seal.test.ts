// What it takes to open a sealed profile, over a share server and a header in memory: which parts, and what an interruption leaves.

import { describe, expect, test } from "vitest";
import { newSealingKey } from "../../client/engine/seal/cipher.ts";
import type { SealHeader, Way } from "../../client/engine/seal/header.ts";
import { followWay, makeWay, type Opener, openLocal, type PasskeyOpener, pass } from "../../client/engine/seal/keys.ts";
import { Seal } from "../../client/engine/seal/seal.ts";
import { type ClosedProfile, type Gate, unlock } from "../../client/engine/seal/unlock.ts";
import { sealStore } from "../../client/engine/sealed-store.ts";
import { randomBytes, toBase64url, utf8 } from "../../schemas/bytes.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";
import { headerPlace, ShareServer } from "../support/share-server.ts";

const PASSPHRASE = "vier Hörnchen, bitte";
/** A price for tests, which guess nothing. */
const CHEAP = 2 ** 10;
const bytesOf = (header: SealHeader): string =>
  header.ways.map(({ local, key, lock }) => [local, key, lock?.salt ?? new Uint8Array()].map(toBase64url)).join();

/** A profile whose device the server has let in. */
async function begun() {
  const [server, headers] = [new ShareServer(), headerPlace()];
  const options = { headers, door: server.door, cost: CHEAP };
  const seal = await Seal.begin(options);
  server.admit(await seal.introduce());
  await seal.accepted();
  const store = memoryStore();
  await sealStore(store, await seal.key()).write([{ table: "meta", key: "k", value: utf8("innen") }]);
  const reads = async (opened: Seal): Promise<string> =>
    Buffer.from((await sealStore(store, await opened.key()).get("meta", "k")) ?? []).toString();
  const open = async (opener: Opener | null = null) => Seal.open(options, await headers.header(), opener);
  return { server, headers, options, seal, reads, open };
}

describe("the parts", () => {
  test("S11: share, this browser's part and passphrase open the store together, and no two of them do", async () => {
    const [platformKey, storeKey] = [await newSealingKey(), randomBytes(32)];
    const { way, share, passed } = await makeWay(platformKey, storeKey, {
      opener: PASSPHRASE,
      minutes: 5,
      cost: CHEAP,
    });
    const local = await openLocal(platformKey, way);
    if (local === undefined || passed === null || way.lock === null) throw new Error("no way");
    expect(await followWay(way, { share, local, passed })).toEqual(storeKey);
    expect(await followWay(way, { share: randomBytes(32), local, passed })).toBeUndefined();
    expect(await followWay(way, { share, local: { ...local, part: randomBytes(32) }, passed })).toBeUndefined();
    expect(await followWay(way, { share, local, passed: null })).toBeUndefined();
    expect(await followWay(way, { share, local, passed: { ...passed, part: passed.verifier } })).toBeUndefined();
    expect(await openLocal(await newSealingKey(), way)).toBeUndefined();
    // The same passphrase, its letters composed otherwise
    expect((await pass(PASSPHRASE.normalize("NFD"), way.lock))?.part).toEqual(passed.part);
  });

  test("S11: nothing the header holds is the share or the store's key, and each profile's parts are its own", async () => {
    const [one, other] = [await begun(), await begun()];
    const header = (await one.headers.header()) as SealHeader;
    expect(header.platformKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("raw", header.platformKey)).rejects.toThrow();
    const foreign = { ...header, ways: ((await other.headers.header()) as SealHeader).ways };
    await expect(Seal.open(one.options, foreign, null)).rejects.toThrow("damaged");
  });
});

describe("the beginning", () => {
  test("S12: nothing is kept or sent before a device is introduced, and its introduction carries the share", async () => {
    const [server, headers] = [new ShareServer(), headerPlace()];
    const seal = await Seal.begin({ headers, door: server.door });
    expect([headers.written, server.asked]).toEqual([[], 0]);
    const brought = await seal.introduce();
    expect(headers.written).toHaveLength(1);
    expect(Object.keys(brought)).toEqual(["unlockHash", "share"]);
    expect(bytesOf(await headers.header())).not.toContain(brought.share);
    expect(await seal.introduce()).toEqual(brought);
  });

  test("S12: a profile whose introduction was taken and not answered opens again", async () => {
    const { server, headers } = await begun();
    const options = { headers, door: server.door };
    const seal = await Seal.begin(options);
    server.admit(await seal.introduce());
    expect(await (await Seal.open(options, await headers.header(), null)).key()).toBeInstanceOf(CryptoKey);
  });
});

/** A database that can be destroyed and opened again, and what an unlocking of it said. */
function profileOf(server: ShareServer) {
  const gates: Gate[] = [];
  const clock = new ManualClock();
  const network = new EventTarget();
  let [store, headers] = [memoryStore(), headerPlace()];
  const openProfile = async (): Promise<ClosedProfile> => ({
    ...store,
    header: headers.header,
    setHeader: headers.setHeader,
    destroy: async () => {
      [store, headers] = [memoryStore(), headerPlace()];
    },
  });
  const { promise: unwanted, resolve: leave } = Promise.withResolvers<void>();
  const openers: ((opener: Opener) => void)[] = [];
  return {
    gates,
    clock,
    network,
    leave,
    openProfile,
    enter: (opener: Opener) => openers.shift()?.(opener),
    unlock: () =>
      unlock({
        openProfile,
        door: server.door,
        clock,
        network,
        onGate: (gate) => gates.push(gate),
        opener: () => new Promise((resolve) => openers.push(resolve)),
        unwanted,
        cost: CHEAP,
      }),
  };
}

/** A profile with an account in it, and closed. */
async function used() {
  const server = new ShareServer();
  const profile = profileOf(server);
  const opened = await profile.unlock();
  if (opened === undefined) throw new Error("not opened");
  server.admit(await opened.seal.introduce());
  await opened.seal.accepted();
  await sealStore(opened.profile, await opened.seal.key()).write([{ table: "meta", key: "k", value: utf8("innen") }]);
  return { server, profile, seal: opened.seal };
}

describe("opening", () => {
  test("S12: a profile the server never took in begins anew, and what was in it is gone", async () => {
    const server = new ShareServer();
    const profile = profileOf(server);
    const first = await profile.unlock();
    await first?.profile.write([{ table: "meta", key: "k", value: utf8("Entwurf") }]);
    await first?.seal.introduce();
    const again = await profile.unlock();
    expect(await again?.profile.scan("meta")).toEqual([]);
    expect(await again?.profile.header()).toBeUndefined();
    expect(profile.gates).toEqual([]);
  });

  test("S13: without an answer it waits and asks again by itself, at once when the network is back", async () => {
    const { server, profile } = await used();
    server.line = "down";
    const opening = profile.unlock();
    await expect.poll(() => profile.gates).toEqual([{ kind: "unreachable" }]);
    profile.clock.advance(60_000);
    await expect.poll(() => profile.gates).toHaveLength(2);
    server.line = "up";
    profile.network.dispatchEvent(new Event("online"));
    expect((await opening)?.seal.lock).toBeNull();
  });

  test("S13: a profile that is not wanted any more is let go of while it waits", async () => {
    const { server, profile } = await used();
    server.line = "down";
    const opening = profile.unlock();
    await expect.poll(() => profile.gates).toHaveLength(1);
    profile.leave();
    expect(await opening).toBeUndefined();
  });

  test("S14: a revoked device's store is destroyed when it is opened, and says so every time", async () => {
    const { server, profile } = await used();
    server.revoked = true;
    for (const times of [1, 2]) {
      void profile.unlock();
      await expect.poll(() => profile.gates).toEqual(Array(times).fill({ kind: "shut", code: "device_revoked" }));
      expect(await (await profile.openProfile()).scan("meta")).toEqual([]);
    }
  });

  test("S14: a device that was in and that the server does not know any more is shut, and its store stays", async () => {
    const { profile } = await used();
    const other = profileOf(new ShareServer());
    void unlock({
      openProfile: profile.openProfile,
      door: new ShareServer().door,
      clock: other.clock,
      network: other.network,
      onGate: (gate) => other.gates.push(gate),
      opener: () => new Promise(() => undefined),
      unwanted: new Promise(() => undefined),
    });
    await expect.poll(() => other.gates).toEqual([{ kind: "shut", code: "not_found" }]);
    expect(await (await profile.openProfile()).scan("meta")).toHaveLength(1);
  });
});

describe("the app lock", () => {
  test("S15: asks for its passphrase before it asks the server, says how a wrong one fared, and opens with the right one", async () => {
    const { server, profile, seal } = await used();
    await seal.guard({ opener: PASSPHRASE, minutes: 15, current: null });
    const asked = server.asked;
    const opening = profile.unlock();
    await expect.poll(() => profile.gates).toEqual([{ kind: "guarded", passkey: null, tried: null }]);
    expect(server.asked).toBe(asked);
    profile.enter("vier Brötchen, bitte");
    const wrong = { kind: "wrong", left: 9, retryAfter: 0 };
    await expect
      .poll(() => profile.gates.at(-1), { timeout: 10_000 })
      .toEqual({ kind: "guarded", passkey: null, tried: wrong });
    profile.enter(PASSPHRASE);
    const opened = await opening;
    expect(opened?.seal.lock).toEqual({ minutes: 15, passkey: null });
    const store = opened && sealStore(opened.profile, await opened.seal.key());
    expect(await store?.get("meta", "k")).toEqual(utf8("innen"));
  });

  test("S15: a passphrase that met no answer is tried again by itself", async () => {
    const { server, profile, seal } = await used();
    await seal.guard({ opener: PASSPHRASE, minutes: 5, current: null });
    const opening = profile.unlock();
    await expect.poll(() => profile.gates).toHaveLength(1);
    server.line = "down";
    profile.enter(PASSPHRASE);
    await expect.poll(() => profile.gates.at(-1), { timeout: 10_000 }).toEqual({ kind: "unreachable" });
    server.line = "up";
    profile.network.dispatchEvent(new Event("online"));
    expect((await opening)?.seal.lock).toEqual({ minutes: 5, passkey: null });
  });

  test("S15: what was kept of a profile before the lock opens nothing any more once it is on", async () => {
    const { headers, options, seal } = await begun();
    const before = (await headers.header()) as SealHeader;
    await seal.guard({ opener: PASSPHRASE, minutes: 5, current: null });
    await expect(Seal.open(options, before, null)).rejects.toMatchObject({ code: "not_found" });
  });

  test("S16: on, off and a new passphrase each take the present one; a short one is refused", async () => {
    const { seal, reads, open } = await begun();
    const guard = (opener: string, current: string | null) => seal.guard({ opener, minutes: 5, current });
    await expect(guard("kurz", null)).rejects.toMatchObject({ code: "malformed", detail: { reason: "passphrase" } });
    await guard(PASSPHRASE, null);
    await expect(guard("fünf Hörnchen", null)).rejects.toMatchObject({ detail: { reason: "guarded" } });
    await expect(seal.unguard("falsch geraten")).rejects.toMatchObject({ detail: { reason: "wrong" } });
    await guard("fünf Hörnchen", PASSPHRASE);
    await seal.setMinutes(60);
    await expect(open(PASSPHRASE)).rejects.toMatchObject({ detail: { reason: "wrong" } });
    const opened = await open("fünf Hörnchen");
    expect([opened.lock, await reads(opened)]).toEqual([{ minutes: 60, passkey: null }, "innen"]);
    await seal.unguard("fünf Hörnchen");
    const free = await open();
    expect([free.lock, await reads(free)]).toEqual([null, "innen"]);
  });

  test("S16: a change cut off before or after the server heard of it leaves a profile that opens, and one way in", async () => {
    for (const line of ["down", "mute"] as const) {
      const { server, headers, seal, reads, open } = await begun();
      server.line = line;
      await expect(seal.guard({ opener: PASSPHRASE, minutes: 5, current: null })).rejects.toMatchObject({
        code: "unavailable",
      });
      server.line = "up";
      const opened = await open(PASSPHRASE);
      expect([line, opened.lock !== null, await reads(opened)]).toEqual([line, line === "mute", "innen"]);
      expect(((await headers.header()) as SealHeader).ways).toHaveLength(1);
    }
  });

  test("S16: a change that was cut off is brought to its end by the next one", async () => {
    const { server, headers, seal, reads, open } = await begun();
    server.line = "mute";
    await expect(seal.guard({ opener: PASSPHRASE, minutes: 5, current: null })).rejects.toThrow();
    server.line = "up";
    await seal.guard({ opener: "fünf Hörnchen", minutes: 5, current: PASSPHRASE });
    expect(await reads(await open("fünf Hörnchen"))).toBe("innen");
    const { ways } = (await headers.header()) as { ways: readonly Way[] };
    expect(ways).toHaveLength(1);
  });
});

/** What an authenticator gives for a lock. */
const passkeyOpener = (): PasskeyOpener => ({
  credential: toBase64url(randomBytes(16)),
  salt: randomBytes(16),
  secret: randomBytes(32),
});
const asksFor = ({ credential, salt }: PasskeyOpener) => ({ credential, salt });

describe("the app lock by a passkey", () => {
  test("S36: share, this browser's part and the passkey's secret open the store together, for this passkey and salt alone", async () => {
    const [platformKey, storeKey] = [await newSealingKey(), randomBytes(32)];
    const opener = passkeyOpener();
    const { way, share, passed } = await makeWay(platformKey, storeKey, { opener, minutes: 5 });
    const local = await openLocal(platformKey, way);
    if (local === undefined || passed === null || way.lock === null) throw new Error("no way");
    expect(way.lock).toEqual({ ...asksFor(opener), minutes: 5 });
    expect(await followWay(way, { share, local, passed })).toEqual(storeKey);
    expect(await followWay(way, { share, local, passed: null })).toBeUndefined();
    expect(await followWay(way, { share, local, passed: { ...passed, part: passed.verifier } })).toBeUndefined();
    expect(await followWay(way, { share, local, passed: { ...passed, part: opener.secret } })).toBeUndefined();
    const other = await pass({ ...opener, secret: randomBytes(32) }, way.lock);
    expect(other).not.toBeNull();
    expect(await followWay(way, { share, local, passed: other })).toBeUndefined();
    expect(await pass({ ...opener, salt: randomBytes(16) }, way.lock)).toBeNull();
    expect(await pass({ ...opener, credential: passkeyOpener().credential }, way.lock)).toBeNull();
    expect(await pass(PASSPHRASE, way.lock)).toBeNull();
  });

  test("S36: the lock names its passkey; only a secret of it is tried, wrong ones are counted, and the right one opens", async () => {
    const { server, profile, seal } = await used();
    const opener = passkeyOpener();
    await seal.guard({ opener, minutes: 15, current: null });
    expect(seal.lock).toEqual({ minutes: 15, passkey: asksFor(opener) });
    const asked = server.asked;
    const opening = profile.unlock();
    const gate = { kind: "guarded", passkey: asksFor(opener), tried: null };
    await expect.poll(() => profile.gates).toEqual([gate]);
    profile.enter(passkeyOpener());
    await expect.poll(() => profile.gates).toEqual([gate, gate]);
    profile.enter(PASSPHRASE);
    await expect.poll(() => profile.gates).toEqual([gate, gate, gate]);
    expect(server.asked).toBe(asked);
    profile.enter({ ...opener, secret: randomBytes(32) });
    const tried = { kind: "wrong", left: 9, retryAfter: 0 };
    await expect.poll(() => profile.gates.at(-1)).toEqual({ ...gate, tried });
    profile.enter(opener);
    const opened = await opening;
    const store = opened && sealStore(opened.profile, await opened.seal.key());
    expect(await store?.get("meta", "k")).toEqual(utf8("innen"));
  });

  test("S36: the lock goes from passphrase to passkey, to another passkey, and off, each for the present one; no short secret is taken", async () => {
    const { seal, reads, open } = await begun();
    const [one, two] = [passkeyOpener(), passkeyOpener()];
    const guard = (opener: Opener, current: Opener | null) => seal.guard({ opener, minutes: 5, current });
    const short = { ...one, secret: randomBytes(31) };
    await expect(guard(short, null)).rejects.toMatchObject({ code: "malformed", detail: { reason: "secret" } });
    await guard(PASSPHRASE, null);
    await expect(guard(one, null)).rejects.toMatchObject({ detail: { reason: "guarded" } });
    await guard(one, PASSPHRASE);
    await expect(guard(two, PASSPHRASE)).rejects.toMatchObject({ detail: { reason: "guarded" } });
    await expect(guard(two, { ...one, secret: randomBytes(32) })).rejects.toMatchObject({
      detail: { reason: "wrong" },
    });
    await guard(two, one);
    await expect(open(one)).rejects.toMatchObject({ detail: { reason: "guarded" } });
    const opened = await open(two);
    expect([opened.lock, await reads(opened)]).toEqual([{ minutes: 5, passkey: asksFor(two) }, "innen"]);
    await seal.unguard(two);
    expect(await reads(await open())).toBe("innen");
  });

  test("S37: a change of what opens it, cut off before or after the server heard of it, asks for the one that counts", async () => {
    for (const line of ["down", "mute"] as const) {
      const { server, profile, seal } = await used();
      const [before, after] = line === "down" ? [passkeyOpener(), PASSPHRASE] : [PASSPHRASE, passkeyOpener()];
      await seal.guard({ opener: before, minutes: 5, current: null });
      // Two requests: the present one is tried, then the change is cut off
      const { changeShare } = server.door;
      Object.assign(server.door, {
        changeShare: async (change: never) => {
          server.line = line;
          return changeShare(change);
        },
      });
      await expect(seal.guard({ opener: after, minutes: 5, current: before })).rejects.toMatchObject({
        code: "unavailable",
      });
      server.line = "up";
      const counts = (line === "down" ? before : after) as PasskeyOpener;
      const opening = profile.unlock();
      await expect.poll(() => profile.gates).toEqual([{ kind: "guarded", passkey: asksFor(counts), tried: null }]);
      profile.enter(counts);
      expect((await opening)?.seal.lock).toEqual({ minutes: 5, passkey: asksFor(counts) });
    }
  });
});
