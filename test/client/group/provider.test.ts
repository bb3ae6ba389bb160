// The two kinds of curves must be one cipher suite, and keys and key packages be refused when they could hurt.

import { x25519 } from "@noble/curves/ed25519.js";
import { describe, expect, test, vi } from "vitest";
import { commit, confirmPending } from "../../../client/engine/group/commit.ts";
import {
  certify,
  createDeviceKeys,
  createIdentityKeys,
  sign,
  verify,
} from "../../../client/engine/group/device-keys.ts";
import { writeMessage } from "../../../client/engine/group/frame.ts";
import { createGroup, seal } from "../../../client/engine/group/group.ts";
import { openKeyPackage } from "../../../client/engine/group/key-packages.ts";
import { KEY_PACKAGE_LIFE, MAX_BYTES } from "../../../client/engine/group/limits.ts";
import { makeSuite, nativeCurves } from "../../../client/engine/group/provider.ts";
import { fallbackCurves } from "../../../client/engine/group/provider-fallback.ts";
import type { Me } from "../../../client/engine/group/state.ts";
import { isContributoryKey } from "../../../client/engine/group/weak-keys.ts";
import { concat, equalBytes, randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { certificatePayload } from "../../../schemas/credential.ts";
import { decoded, forgeCommit, resignedKeyPackage } from "./attacker.ts";
import {
  addition,
  commitOf,
  conversationId,
  createContext,
  createMe,
  createMember,
  crowd,
  gather,
  keyPackageOf,
  NOW,
  openNow,
} from "./people.ts";
import { refuses } from "./refuses.ts";

const DAY = 86_400_000;

describe("E16: WebCrypto and JavaScript curves are one cipher suite", () => {
  test("E16: each verifies what the other signed and opens what the other sealed", async () => {
    const suites = [await makeSuite(nativeCurves()), await makeSuite(fallbackCurves())];
    for (const own of suites) {
      for (const other of suites) {
        const { publicKey, signKey } = await own.signature.keygen();
        const signature = await own.signature.sign(signKey, utf8("signed"));
        expect(await other.signature.verify(publicKey, utf8("signed"), signature)).toBe(true);
        expect(await other.signature.verify(publicKey, utf8("Signed"), signature)).toBe(false);
        expect(await other.signature.sign(signKey, utf8("signed"))).toEqual(signature);

        const pair = await other.hpke.deriveKeyPair(randomBytes(32));
        const publicBytes = await other.hpke.exportPublicKey(pair.publicKey);
        const imported = await own.hpke.importPublicKey(publicBytes);
        const { enc, ct } = await own.hpke.seal(imported, utf8("sealed"), utf8("info"));
        expect(await other.hpke.open(pair.privateKey, enc, ct, utf8("info"))).toEqual(utf8("sealed"));
        await expect(other.hpke.open(pair.privateKey, enc, ct, utf8("other"))).rejects.toThrow();
      }
    }
  });

  test("E16: a device whose WebCrypto has neither curve is in one group with one that has both", async () => {
    const native = await createContext();
    const { group } = await createGroup({ context: native, conversation: conversationId(), generation: 0, now: NOW });
    vi.resetModules();
    const old = await import("./people.ts");
    const { seal: sealOld } = await import("../../../client/engine/group/group.ts");
    const [context, keyPackage] = await withoutCurves(async () => {
      const newcomer = await old.createContext({}, native.me.tenant);
      return [newcomer, await old.keyPackageOf(newcomer.me)] as const;
    });
    const made = await commitOf(group, { add: [addition(context.me, keyPackage)] });
    const welcome = made.bundle.welcome?.bytes ?? new Uint8Array();
    const [sealed, update] = await withoutCurves(async () => {
      const { conversation } = group;
      const joined = await old.joinOf({ welcome, keyPackage: keyPackage.privateRecord, context, conversation });
      const message = await sealOld(joined.group, utf8("by JavaScript alone"));
      return [message, await old.commitOf(message.group)] as const;
    });
    const { group: founder } = confirmPending(made.group);
    const opened = await openNow(founder, sealed.bytes);
    expect(opened.outcome).toMatchObject({ kind: "message", plaintext: utf8("by JavaScript alone") });
    expect((await openNow(opened.group, update.bundle.commit)).outcome.kind).toBe("epoch");
  });

  test("E16: both derive the same key pair from the same secret", async () => {
    const secret = randomBytes(32);
    const [native, fallback] = [await makeSuite(nativeCurves()), await makeSuite(fallbackCurves())];
    const [one, two] = [await native.hpke.deriveKeyPair(secret), await fallback.hpke.deriveKeyPair(secret)];
    expect(await native.hpke.exportPublicKey(one.publicKey)).toEqual(
      await fallback.hpke.exportPublicKey(two.publicKey),
    );
    expect(await native.hpke.exportPrivateKey(one.privateKey)).toEqual(
      await fallback.hpke.exportPrivateKey(two.privateKey),
    );
  });

  test("E16: the weak keys are exactly those that X25519 itself refuses", () => {
    const field = (1n << 255n) - 19n;
    const points = [0n, 1n, field - 1n, field, field + 1n].map(littleEndian);
    for (const point of [...points, ...points.map(topBit)]) {
      expect(isContributoryKey(point)).toBe(false);
      expect(() => x25519.getSharedSecret(randomBytes(32), point)).toThrow();
    }
    for (const order8 of [
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ]) {
      const point = Uint8Array.from(order8.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
      expect(isContributoryKey(point)).toBe(false);
      expect(() => x25519.getSharedSecret(randomBytes(32), point)).toThrow();
    }
    expect(isContributoryKey(x25519.getPublicKey(randomBytes(32)))).toBe(true);
    expect(isContributoryKey(littleEndian(2n))).toBe(true);
    expect(isContributoryKey(new Uint8Array(31).fill(9))).toBe(false);
  });
});

describe("E2: a leaf is who its certified credential says, and stays it", () => {
  test("E2: keys are raw Ed25519, and a certificate binds all four names", async () => {
    const identity = await createIdentityKeys();
    const { signatureKey } = await createDeviceKeys();
    expect([identity.publicKey.length, identity.privateKey.length, signatureKey.publicKey.length]).toEqual([
      32, 32, 32,
    ]);
    const { tenant, member, device } = await createMe(await createMember());
    const names = { tenant, member, device, signatureKey: signatureKey.publicKey };
    const certificate = await certify(identity.privateKey, names);
    expect(await verify(identity.publicKey, certificatePayload(names), certificate)).toBe(true);
    for (const other of [{ tenant: device as never }, { member: device as never }, { device: member as never }]) {
      expect(await verify(identity.publicKey, certificatePayload({ ...names, ...other }), certificate)).toBe(false);
    }
    const signature = await sign(signatureKey.privateKey, utf8("hello"));
    expect(await verify(signatureKey.publicKey, utf8("hello"), signature)).toBe(true);
    expect(await verify(new Uint8Array(5), utf8("hello"), signature)).toBe(false);
    expect(await verify(signatureKey.publicKey, utf8("hello"), new Uint8Array(3))).toBe(false);
  });
});

describe("E13: a key package lives 90 days and is what it was asked to be", () => {
  async function group() {
    const [first, second] = await crowd(2);
    return { groups: (await gather([first, second])).groups, newcomer: await createContext() };
  }
  const withLifetime = (me: Me, notBefore: number, notAfter: number) => {
    const lifetime = { notBefore: BigInt(Math.floor(notBefore / 1000)), notAfter: BigInt(Math.floor(notAfter / 1000)) };
    return resignedKeyPackage(me, (leaf) => ({ ...leaf, lifetime }));
  };

  test("E13: it says when it ends, whether it is the last resort, and which it is", async () => {
    const { me } = await createContext();
    const [one, two] = [await keyPackageOf(me), await keyPackageOf(me, true)];
    expect(one.ref).not.toBe(two.ref);
    expect(one.expiresAt).toBe(NOW - DAY + KEY_PACKAGE_LIFE);
    expect([one.lastResort, two.lastResort]).toEqual([false, true]);
    expect(decoded(one.publicBytes).extensions).toEqual([]);
    expect(decoded(two.publicBytes).extensions).toEqual([{ extensionType: 10, extensionData: new Uint8Array() }]);
    expect(one.publicBytes.length).toBeLessThan(MAX_BYTES.keyPackage / 4);
    expect(openKeyPackage(one.privateRecord, me)?.keyPackage).toEqual(decoded(one.publicBytes));
    expect(openKeyPackage(one.privateRecord, (await createContext()).me)).toBeUndefined();
  });

  test("E13: one that has ended, not begun, or would live too long is neither added nor followed", async () => {
    const { groups, newcomer } = await group();
    const [a, b] = groups;
    const { me } = newcomer;
    const alive = await keyPackageOf(me);
    for (const now of [alive.expiresAt + 1000, NOW - 2 * DAY]) {
      expect(await commit(a, { add: [addition(me, alive)], now })).toMatchObject({
        kind: "refused",
        reason: "expired",
      });
    }
    const proposals = [{ proposalType: "add", add: { keyPackage: decoded(alive.publicBytes) } } as const];
    const bytes = await forgeCommit(a, { proposals });
    await refuses(b, bytes, "expired", alive.expiresAt + 1000);
    expect((await openNow(b, bytes, alive.expiresAt)).outcome.kind).toBe("epoch");
    const immortal = await withLifetime(me, 0, 2 ** 50);
    const add = [{ member: me.member, device: me.device, keyPackage: immortal }];
    expect(await commit(a, { add, now: NOW })).toMatchObject({ kind: "refused", reason: "expired" });
    const forged = await forgeCommit(a, {
      proposals: [{ proposalType: "add", add: { keyPackage: decoded(immortal) } }],
    });
    await refuses(b, forged, "expired");
    const mortal = [{ ...add[0], keyPackage: await withLifetime(me, NOW - DAY, NOW + DAY) }] as typeof add;
    expect((await commit(a, { add: mortal, now: NOW })).kind).toBe("committed");
  });

  test("E13: one of another device than asked for, unsigned, weak, or not a key package at all is refused by name", async () => {
    const { groups, newcomer } = await group();
    const [a] = groups;
    const { me } = newcomer;
    const { member, device } = me;
    const asked = { member, device };
    const { publicBytes } = await keyPackageOf(me);
    const other = (await createContext()).me;
    const faults: [string, Uint8Array][] = [
      ["wrong_device", (await keyPackageOf(other)).publicBytes],
      ["malformed", concat(publicBytes, Uint8Array.of(0))],
      ["malformed", publicBytes.map((byte, at) => (at === publicBytes.length - 1 ? byte ^ 1 : byte))],
      ["malformed", (await seal(a, utf8("x"))).bytes],
      ["malformed", rewritten(publicBytes, (keyPackage) => ({ ...keyPackage, initKey: new Uint8Array(32) }))],
      [
        "malformed",
        rewritten(publicBytes, (keyPackage) => ({ ...keyPackage, initKey: keyPackage.leafNode.hpkePublicKey })),
      ],
      ["malformed", new Uint8Array(MAX_BYTES.keyPackage + 1)],
      ["uncertified", (await keyPackageOf({ ...me, certificate: new Uint8Array(64) })).publicBytes],
    ];
    for (const [reason, keyPackage] of faults) {
      const refused = await commit(a, { add: [{ ...asked, keyPackage }], now: NOW });
      expect(refused).toEqual({ kind: "refused", reason, device: asked });
    }
    expect((await commit(a, { add: [{ ...asked, keyPackage: publicBytes }], now: NOW })).kind).toBe("committed");
  });
});

/** Does something in a browser whose WebCrypto knows neither X25519 nor Ed25519. */
async function withoutCurves<Result>(what: () => Promise<Result>): Promise<Result> {
  const lacking = new DOMException("Unrecognized name.", "NotSupportedError");
  const generate = vi.spyOn(crypto.subtle, "generateKey").mockRejectedValue(lacking);
  try {
    return await what();
  } finally {
    generate.mockRestore();
  }
}

type Decoded = ReturnType<typeof decoded>;

function rewritten(publicBytes: Uint8Array, edit: (keyPackage: Decoded) => Decoded): Uint8Array {
  const bytes = writeMessage({ wireformat: "mls_key_package", keyPackage: edit(decoded(publicBytes)) });
  if (equalBytes(bytes, publicBytes)) throw new Error("nothing was changed");
  return bytes;
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 255n));
}

function topBit(point: Uint8Array): Uint8Array {
  return point.map((byte, at) => (at === 31 ? byte | 0x80 : byte));
}
