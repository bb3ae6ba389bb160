// Linking step by step, with everything a server in between can do: swap, replay, forge, and even know the code.

import { describe, expect, test } from "vitest";
import { createCode, linkAddress, linkKeys, readCode } from "../../../client/engine/linking/code.ts";
import {
  makeHello,
  makeOffer,
  openHandover,
  openHello,
  openReveal,
  sealHandover,
} from "../../../client/engine/linking/exchange.ts";
import { randomBytes } from "../../../schemas/bytes.ts";
import { type DeviceId, type GrantId, type MemberId, newId, type TenantId } from "../../../schemas/ids.ts";
import { encodeLink, type LinkHandover } from "../../../schemas/linking.ts";

const handover: LinkHandover = {
  v: 1,
  tenant: { id: newId<TenantId>(), name: "Backhaus", residency: "eu" },
  member: { id: newId<MemberId>(), name: "Olga", role: "owner" },
  identityKeys: { publicKey: randomBytes(32), privateKey: randomBytes(32) },
  grant: { id: newId<GrantId>(), by: newId<DeviceId>(), expiresAt: 1, signature: randomBytes(64) },
  history: randomBytes(32),
  recovery: null,
};

const sure = async <Value>(value: Promise<Value | undefined> | Value | undefined): Promise<Value> => {
  const known = await value;
  if (known === undefined) throw new Error("refused");
  return known;
};

interface Meeting {
  readonly code?: string;
  /** What the second device's person has entered instead. */
  readonly typed?: string;
  /** What the second device finds instead. */
  readonly offer?: () => Uint8Array<ArrayBuffer>;
}

/** Both devices up to the digits, over a wire that may change what it carries. */
async function meet({ code = createCode(), typed, offer: changeOffer }: Meeting = {}) {
  const [old, young] = [await linkKeys(code), await linkKeys(typed ?? code)];
  const offering = await makeOffer(old);
  const greeting = await sure(makeHello(young, changeOffer?.() ?? offering.offer, { name: "New laptop" }));
  return { offering, greeting, opened: await openHello(offering, greeting.hello) };
}

describe("code", () => {
  test("P1: has eighty bits in four groups and is understood however it is typed, scanned or mistaken", () => {
    const codes = new Set(Array.from({ length: 200 }, createCode));
    expect(codes.size).toBe(200);
    for (const code of codes) {
      expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
      const typed = code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o").replaceAll("1", "l");
      for (const variant of [
        code,
        typed,
        ` ${code.replaceAll("-", "")}\n`,
        linkAddress("https://kuvert.example", code),
      ]) {
        expect(readCode(variant)).toBe(code);
      }
    }
  });

  test.each([
    "",
    "ABCD-EFGH-JKMN",
    "ABCD-EFGH-JKMN-PQRSX",
    "ABCD-EFGH-JKMN-PQR!",
    "ABCD-EFGH-JKMN-PQRU",
    "https://x/join#ABCDEFGHJKMNPQRS",
  ])("P1: anything else is no code: %s", (text) => expect(readCode(text)).toBeUndefined());

  test("P1: its two keys are as different as those of another code", async () => {
    const [code, other] = [createCode(), createCode()];
    const [a, again, b] = [await linkKeys(code), await linkKeys(code), await linkKeys(other)];
    expect(again).toEqual(a);
    expect(b.id).not.toBe(a.id);
    expect(b.psk).not.toEqual(a.psk);
    expect(Buffer.from(a.psk).subarray(0, 16).toString("base64url")).not.toBe(a.id);
  });
});

describe("exchange", () => {
  test("P2: both devices show the same digits, and what is handed over comes through", async () => {
    const { greeting, opened } = await meet();
    if (opened === undefined) throw new Error("refused");
    const agreed = await sure(openReveal(greeting, opened.reveal));
    expect(opened.name).toBe("New laptop");
    expect(opened.digits).toMatch(/^\d{6}$/);
    expect(agreed.digits).toBe(opened.digits);
    expect(openHandover(agreed, sealHandover(opened, handover))).toEqual(handover);
  });

  test("P2: digits differ from one meeting to the next, with the same code", async () => {
    const code = createCode();
    const digits = new Set<string>();
    for (let round = 0; round < 5; round++) digits.add((await meet({ code })).opened?.digits ?? "");
    expect(digits.size).toBeGreaterThan(3);
  });

  test("P3: an answer with another code is refused", async () => {
    expect((await meet({ typed: createCode() })).opened).toBeUndefined();
  });

  test("P3: a server that puts an offer of its own in place is found out by the first device, and learns nothing from the answer", async () => {
    const server = await makeOffer(await linkKeys(createCode()));
    const { greeting, opened } = await meet({ offer: () => server.offer });
    expect(opened).toBeUndefined();
    expect(await openHello(server, greeting.hello)).toBeUndefined();
  });

  test("P3: every message that is changed by one bit is refused", async () => {
    const code = createCode();
    const { offering, greeting, opened } = await meet({ code });
    if (opened === undefined) throw new Error("refused");
    const agreed = await sure(openReveal(greeting, opened.reveal));
    const sealed = sealHandover(opened, handover);
    const keys = await linkKeys(code);
    const flips = (bytes: Uint8Array<ArrayBuffer>, every: number) =>
      Array.from({ length: Math.ceil(bytes.length / every) }, (_, index) =>
        bytes.map((byte, at) => (at === index * every ? byte ^ 1 : byte)),
      );
    for (const hello of flips(greeting.hello, 17)) expect(await openHello(offering, hello)).toBeUndefined();
    for (const reveal of flips(opened.reveal, 5)) expect(openReveal(greeting, reveal)).toBeUndefined();
    for (const changed of flips(sealed, 31)) expect(openHandover(agreed, changed)).toBeUndefined();
    for (const offer of flips(offering.offer, 19)) {
      const answer = await makeHello(keys, offer, { name: "x" });
      if (answer !== undefined) expect(await openHello(offering, answer.hello)).toBeUndefined();
    }
  });

  test("P3: messages of one meeting are of no use in another one with the same code, nor in another step", async () => {
    const code = createCode();
    const [first, second] = [await meet({ code }), await meet({ code })];
    if (!first.opened || !second.opened) throw new Error("refused");
    expect(await openHello(second.offering, first.greeting.hello)).toBeUndefined();
    expect(openReveal(second.greeting, first.opened.reveal)).toBeUndefined();
    const agreed = await sure(openReveal(second.greeting, second.opened.reveal));
    expect(openHandover(agreed, sealHandover(first.opened, handover))).toBeUndefined();
    expect(openHandover(agreed, second.opened.reveal)).toBeUndefined();
    expect(openReveal(second.greeting, sealHandover(second.opened, handover))).toBeUndefined();
  });

  test("P4: somebody in between who even knows the code shows other digits on one side", async () => {
    const code = createCode();
    const keys = await linkKeys(code);
    const offering = await makeOffer(keys);
    const between = await makeOffer(keys);
    const young = await sure(makeHello(keys, between.offer, { name: "New laptop" }));
    const toOld = await sure(makeHello(keys, offering.offer, { name: "New laptop" }));
    const shownByOld = await sure(openHello(offering, toOld.hello));
    const toYoung = await sure(openHello(between, young.hello));
    const shownByYoung = await sure(openReveal(young, toYoung.reveal));
    expect(shownByYoung.digits).not.toBe(shownByOld.digits);
  });

  test("P4: the digits cannot be tried out: the nonce that decides them is fixed before the answer and shown after it", async () => {
    const code = createCode();
    const keys = await linkKeys(code);
    const offering = await makeOffer(keys);
    const greeting = await sure(makeHello(keys, offering.offer, { name: "x" }));
    const opened = await sure(openHello(offering, greeting.hello));
    // The same device with another nonce: the digits change, and the second device does not take it
    const other = await sure(openHello({ ...offering, nonce: randomBytes(32) }, greeting.hello));
    expect(other.digits).not.toBe(opened.digits);
    expect(openReveal(greeting, other.reveal)).toBeUndefined();
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["no CBOR", randomBytes(80)],
    ["a key that is all zero", encodeLink({ v: 1, publicKey: new Uint8Array(32), commitment: randomBytes(32) })],
  ])("P3: an offer that is %s is refused without an error", async (_, offer) => {
    expect(await makeHello(await linkKeys(createCode()), offer, { name: "x" })).toBeUndefined();
  });

  test("P3: a handover of another shape is refused", async () => {
    const { greeting, opened } = await meet();
    if (opened === undefined) throw new Error("refused");
    const agreed = await sure(openReveal(greeting, opened.reveal));
    const broken = { ...handover, history: randomBytes(31) };
    expect(openHandover(agreed, sealHandover(opened, broken))).toBeUndefined();
  });
});
