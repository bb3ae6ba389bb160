// What it takes to open a sealed profile, over a share server and a header in memory: which parts, and what an interruption leaves.

import { describe, expect, test } from "vitest";
import { newSealingKey } from "../../client/engine/seal/cipher.ts";
import type { SealHeader, Way } from "../../client/engine/seal/header.ts";
import { followWay, makeWay, openLocal, pass } from "../../client/engine/seal/keys.ts";
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
  const open = async (passphrase: string | null = null) => Seal.open(options, await headers.header(), passphrase);
  return { server, headers, options, seal, reads, open };
}

describe("the parts", () => {
  test("S11: share, this browser's part and passphrase open the store together, and no two of them do", async () => {
    const [platformKey, storeKey] = [await newSealingKey(), randomBytes(32)];
    const { way, share, passed } = await makeWay(platformKey, storeKey, {
      passphrase: PASSPHRASE,
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
    expect((await pass(PASSPHRASE.normalize("NFD"), way.lock)).part).toEqual(passed.part);
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
  const passphrases: ((passphrase: string) => void)[] = [];
  return {
    gates,
    clock,
    network,
    leave,
    openProfile,
    enter: (passphrase: string) => passphrases.shift()?.(passphrase),
    unlock: () =>
      unlock({
        openProfile,
        door: server.door,
        clock,
        network,
        onGate: (gate) => gates.push(gate),
        passphrase: () => new Promise((resolve) => passphrases.push(resolve)),
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
      passphrase: () => new Promise(() => undefined),
      unwanted: new Promise(() => undefined),
    });
    await expect.poll(() => other.gates).toEqual([{ kind: "shut", code: "not_found" }]);
    expect(await (await profile.openProfile()).scan("meta")).toHaveLength(1);
  });
});

describe("the app lock", () => {
  test("S15: asks for its passphrase before it asks the server, says how a wrong one fared, and opens with the right one", async () => {
    const { server, profile, seal } = await used();
    await seal.guard({ passphrase: PASSPHRASE, minutes: 15, current: null });
    const asked = server.asked;
    const opening = profile.unlock();
    await expect.poll(() => profile.gates).toEqual([{ kind: "guarded", tried: null }]);
    expect(server.asked).toBe(asked);
    profile.enter("vier Brötchen, bitte");
    const wrong = { kind: "wrong", left: 9, retryAfter: 0 };
    await expect.poll(() => profile.gates.at(-1), { timeout: 10_000 }).toEqual({ kind: "guarded", tried: wrong });
    profile.enter(PASSPHRASE);
    const opened = await opening;
    expect(opened?.seal.lock).toEqual({ minutes: 15 });
    const store = opened && sealStore(opened.profile, await opened.seal.key());
    expect(await store?.get("meta", "k")).toEqual(utf8("innen"));
  });

  test("S15: a passphrase that met no answer is tried again by itself", async () => {
    const { server, profile, seal } = await used();
    await seal.guard({ passphrase: PASSPHRASE, minutes: 5, current: null });
    const opening = profile.unlock();
    await expect.poll(() => profile.gates).toHaveLength(1);
    server.line = "down";
    profile.enter(PASSPHRASE);
    await expect.poll(() => profile.gates.at(-1), { timeout: 10_000 }).toEqual({ kind: "unreachable" });
    server.line = "up";
    profile.network.dispatchEvent(new Event("online"));
    expect((await opening)?.seal.lock).toEqual({ minutes: 5 });
  });

  test("S15: what was kept of a profile before the lock opens nothing any more once it is on", async () => {
    const { headers, options, seal } = await begun();
    const before = (await headers.header()) as SealHeader;
    await seal.guard({ passphrase: PASSPHRASE, minutes: 5, current: null });
    await expect(Seal.open(options, before, null)).rejects.toMatchObject({ code: "not_found" });
  });

  test("S16: on, off and a new passphrase each take the present one; a short one is refused", async () => {
    const { seal, reads, open } = await begun();
    const guard = (passphrase: string, current: string | null) => seal.guard({ passphrase, minutes: 5, current });
    await expect(guard("kurz", null)).rejects.toMatchObject({ code: "malformed", detail: { reason: "passphrase" } });
    await guard(PASSPHRASE, null);
    await expect(guard("fünf Hörnchen", null)).rejects.toMatchObject({ detail: { reason: "guarded" } });
    await expect(seal.unguard("falsch geraten")).rejects.toMatchObject({ detail: { reason: "wrong" } });
    await guard("fünf Hörnchen", PASSPHRASE);
    await seal.setMinutes(60);
    await expect(open(PASSPHRASE)).rejects.toMatchObject({ detail: { reason: "wrong" } });
    const opened = await open("fünf Hörnchen");
    expect([opened.lock, await reads(opened)]).toEqual([{ minutes: 60 }, "innen"]);
    await seal.unguard("fünf Hörnchen");
    const free = await open();
    expect([free.lock, await reads(free)]).toEqual([null, "innen"]);
  });

  test("S16: a change cut off before or after the server heard of it leaves a profile that opens, and one way in", async () => {
    for (const line of ["down", "mute"] as const) {
      const { server, headers, seal, reads, open } = await begun();
      server.line = line;
      await expect(seal.guard({ passphrase: PASSPHRASE, minutes: 5, current: null })).rejects.toMatchObject({
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
    await expect(seal.guard({ passphrase: PASSPHRASE, minutes: 5, current: null })).rejects.toThrow();
    server.line = "up";
    await seal.guard({ passphrase: "fünf Hörnchen", minutes: 5, current: PASSPHRASE });
    expect(await reads(await open("fünf Hörnchen"))).toBe("innen");
    const { ways } = (await headers.header()) as { ways: readonly Way[] };
    expect(ways).toHaveLength(1);
  });
});
