// Safety numbers against Signal's own vector and Node's independent SHA-512; what is known of keys, and what a change of one means.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { Batch } from "../../client/engine/records.ts";
import {
  compareCode,
  digitsOf,
  fingerprint,
  type Identified,
  safetyCode,
  safetyNumber,
} from "../../client/engine/safety-number.ts";
import type { Store } from "../../client/engine/store.ts";
import { Trust } from "../../client/engine/trust.ts";
import { randomBytes, utf8 } from "../../schemas/bytes.ts";
import type { Comparison } from "../../schemas/content.ts";
import { idBytes, type MemberId, newId, type TenantId } from "../../schemas/ids.ts";
import { memoryStore } from "../support/memory-store.ts";

const root = mkdtempSync(join(tmpdir(), "kuvert-trust-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const newStore = (): Promise<Store> => openSqliteStore(join(root, String(folders++)));

const tenant = newId<TenantId>();
const person = (): Identified => ({ tenant, member: newId<MemberId>(), identityKey: randomBytes(32) });
const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

describe("safety number", () => {
  test("I1: is built as Signal's: its published vector comes out", () => {
    // libsignal, rust/protocol/src/fingerprint.rs, tests: version 1
    const alice = hex("0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868");
    const bob = hex("05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b");
    const digits = digitsOf(fingerprint(alice, utf8("+14152222222")), fingerprint(bob, utf8("+14153333333")));
    expect(digits).toBe("300354477692869396892869876765458257569162576843440918079131");
  });

  test("I1: is the same from both sides, and another one for anybody else, another key or another tenant", () => {
    const [anna, bert, carla] = [person(), person(), person()];
    const number = safetyNumber(anna, bert);
    expect(number).toMatch(/^\d{60}$/);
    expect(safetyNumber(bert, anna)).toBe(number);
    const others = [
      safetyNumber(anna, carla),
      safetyNumber(anna, { ...bert, identityKey: randomBytes(32) }),
      safetyNumber(anna, { ...bert, member: newId<MemberId>() }),
      safetyNumber({ ...anna, tenant: newId<TenantId>() }, bert),
    ];
    expect(new Set([number, ...others]).size).toBe(5);
  });

  test("I1: says what an independent computation says", () => {
    const [anna, bert] = [person(), person()];
    const half = ({ member, identityKey }: Identified) => {
      const id = Buffer.concat([Buffer.from("kuvert member\0"), idBytes(tenant), idBytes(member)]);
      let hash: Uint8Array = Buffer.concat([Buffer.from([0, 0]), identityKey, id]);
      for (let round = 0; round < 5_200; round++) hash = createHash("sha512").update(hash).update(identityKey).digest();
      const big = (at: number) => BigInt(`0x${Buffer.from(hash.subarray(at, at + 5)).toString("hex")}`) % 100_000n;
      return [0, 5, 10, 15, 20, 25].map((at) => big(at).toString().padStart(5, "0")).join("");
    };
    expect(safetyNumber(anna, bert)).toBe([half(anna), half(bert)].sort().join(""));
  });

  test("I2: scanning each other's code matches when both have the right keys, and says so when one has not", () => {
    const [anna, bert, carla] = [person(), person(), person()];
    const shown = safetyCode(bert, anna);
    expect(compareCode(shown, { me: anna, peer: bert })).toBe("match");
    const fake = { ...bert, identityKey: randomBytes(32) };
    expect(compareCode(shown, { me: anna, peer: fake })).toBe("mismatch");
    expect(compareCode(safetyCode(bert, { ...anna, identityKey: randomBytes(32) }), { me: anna, peer: bert })).toBe(
      "mismatch",
    );
    expect(compareCode(shown, { me: anna, peer: carla })).toBe("other_person");
    expect(compareCode(safetyCode(bert, carla), { me: anna, peer: bert })).toBe("other_person");
    expect(compareCode(safetyCode(anna, bert), { me: anna, peer: bert })).toBe("other_person");
    for (const text of ["", "https://example", "kuvert-safety:", `${shown}A`, shown.slice(0, -4)]) {
      expect(compareCode(text, { me: anna, peer: bert })).toBe("unreadable");
    }
  });
});

describe("trust", () => {
  async function setUp() {
    const store = await newStore();
    const trust = await Trust.load(store);
    const change = async <Result>(work: (batch: Batch) => Result): Promise<Result> => {
      const batch = new Batch();
      const result = work(batch);
      await store.write(batch.writes);
      trust.settle();
      return result;
    };
    const member = newId<MemberId>();
    const [first, second] = [randomBytes(32), randomBytes(32)];
    const see = (identityKey: Uint8Array, now: number) =>
      change((batch) => trust.see(batch, { member, identityKey, now }));
    return { store, trust, change, member, first, second, see };
  }

  test("I3: a key is known from when it was first seen, also after a restart", async () => {
    const { store, trust, member, first, see } = await setUp();
    expect(trust.of(member)).toBeUndefined();
    expect(await see(first, 5)).toBe("first");
    expect(await see(first, 9)).toBe("same");
    for (const one of [trust, await Trust.load(store)]) expect(one.of(member)).toEqual({ state: "known", since: 5 });
  });

  test("I3: a person verifies the key there is, and no other", async () => {
    const { store, trust, change, member, first, second, see } = await setUp();
    expect(await change((batch) => trust.verify(batch, { member, identityKey: first, now: 1 }))).toBe(false);
    await see(first, 5);
    expect(await change((batch) => trust.verify(batch, { member, identityKey: second, now: 7 }))).toBe(false);
    expect(trust.of(member)).toMatchObject({ state: "known" });
    expect(await change((batch) => trust.verify(batch, { member, identityKey: first, now: 7 }))).toBe(true);
    expect((await Trust.load(store)).of(member)).toEqual({ state: "verified", since: 5, verifiedAt: 7 });
  });

  test("I4: a change is seen; it keeps from sending when the old key was verified, until a person has looked", async () => {
    const { store, trust, change, member, first, second, see } = await setUp();
    const other = newId<MemberId>();
    await see(first, 1);
    expect(await see(second, 2)).toBe("changed");
    expect(trust.of(member)).toEqual({ state: "changed", since: 2, wasVerified: false });
    expect(trust.blocking([member, other])).toEqual([]);
    await change((batch) => trust.verify(batch, { member, identityKey: second, now: 3 }));
    await see(first, 4);
    expect(trust.blocking([other, member])).toEqual([member]);
    await see(randomBytes(32), 5);
    expect((await Trust.load(store)).blocking([member])).toEqual([member]);
    await change((batch) => trust.accept(batch, { member, now: 6 }));
    expect(trust.blocking([member])).toEqual([]);
    expect(trust.of(member)).toEqual({ state: "known", since: 5 });
  });

  test("I4: nothing counts before it is durable", async () => {
    const { store, trust, change, member, first } = await setUp();
    const batch = new Batch();
    trust.see(batch, { member, identityKey: first, now: 1 });
    expect(trust.of(member)).toBeUndefined();
    expect((await Trust.load(store)).of(member)).toBeUndefined();
    await change((later) => batch.writes.map((write) => later.add(write)));
    expect(trust.of(member)).toEqual({ state: "known", since: 1 });
  });

  test("I32: what another device tells counts for the very key that was compared, the later decision stands, also after a restart", async () => {
    const { store, trust, change, member, first, second, see } = await setUp();
    const hear = (told: Omit<Comparison, "member">) => change((batch) => trust.hear(batch, { member, ...told }));
    await see(first, 5);
    await hear({ identityKey: second, verified: true, at: 6 });
    expect(trust.of(member)).toEqual({ state: "known", since: 5 });
    await hear({ identityKey: first, verified: true, at: 8 });
    for (const one of [trust, await Trust.load(store)]) {
      expect(one.of(member)).toEqual({ state: "verified", since: 5, verifiedAt: 8 });
    }
    await hear({ identityKey: first, verified: false, at: 7 });
    expect(trust.of(member)).toMatchObject({ state: "verified" });
    await hear({ identityKey: first, verified: false, at: 9 });
    expect(trust.of(member)).toEqual({ state: "known", since: 5 });
    // By a clock that lags behind what it was told
    await change((batch) => trust.verify(batch, { member, identityKey: first, now: 3 }));
    expect(trust.of(member)).toEqual({ state: "verified", since: 5, verifiedAt: 10 });
    expect(trust.comparisons.all).toEqual([{ member, identityKey: first, verified: true, at: 10 }]);
  });

  test("I32: what was told of a key before this device has it counts once it does; of an earlier key it keeps from sending", async () => {
    const { store, trust, change, member, first, second, see } = await setUp();
    const hear = (told: Omit<Comparison, "member">) => change((batch) => trust.hear(batch, { member, ...told }));
    await hear({ identityKey: first, verified: true, at: 2 });
    expect(trust.of(member)).toBeUndefined();
    expect(await see(first, 3)).toBe("first");
    expect(trust.of(member)).toEqual({ state: "verified", since: 3, verifiedAt: 2 });
    expect(await see(second, 4)).toBe("changed");
    expect((await Trust.load(store)).blocking([member])).toEqual([member]);
    await hear({ identityKey: second, verified: false, at: 5 });
    expect(trust.of(member)).toEqual({ state: "known", since: 4 });

    // Another member: the change came first, then word that the key before had been compared
    const other = newId<MemberId>();
    await change((batch) => trust.see(batch, { member: other, identityKey: first, now: 1 }));
    await change((batch) => trust.see(batch, { member: other, identityKey: second, now: 2 }));
    expect(trust.blocking([other])).toEqual([]);
    await change((batch) => trust.hear(batch, { member: other, identityKey: first, verified: true, at: 1 }));
    expect(trust.blocking([other])).toEqual([other]);
    // A device that was handed the decision and finds another key than was compared
    const third = newId<MemberId>();
    await change((batch) => trust.hear(batch, { member: third, identityKey: first, verified: true, at: 1 }));
    expect(await change((batch) => trust.see(batch, { member: third, identityKey: second, now: 2 }))).toBe("first");
    expect(trust.blocking([third])).toEqual([third]);
  });

  test("I32: decisions come together to the same, in whichever order and however often devices hear them", async () => {
    const store = memoryStore();
    const [member, key, other] = [newId<MemberId>(), new Uint8Array(32), new Uint8Array(32).fill(1)];
    const told = fc.record({
      member: fc.constant(member),
      identityKey: fc.constantFrom(key, other),
      verified: fc.boolean(),
      at: fc.nat(3),
    });
    const standing = async (all: readonly Comparison[]) => {
      const trust = await Trust.load(store);
      trust.see(new Batch(), { member, identityKey: key, now: 0 });
      for (const each of all) trust.hear(new Batch(), each);
      trust.settle();
      return trust.comparisons.all;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(told, { maxLength: 6 }), async (all) => {
        expect(await standing([...all].reverse())).toEqual(await standing([...all, ...all]));
      }),
    );
  });
});
