import { createHash } from "node:crypto";
import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";
import { decodeContent, encodeContent } from "../../schemas/content.ts";
import {
  ClientFrame,
  decodeFrame,
  encodeFrame,
  MailboxClientFrame,
  MailboxServerFrame,
  PROTOCOL_VERSIONS,
  ServerFrame,
} from "../../schemas/frames.ts";
import { newId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, LIMITS, Policy } from "../../schemas/policy.ts";

const key = new Uint8Array(16).fill(7);
const hash = new Uint8Array(32).fill(9);
const member = newId<never>();
const device = newId<never>();

const frames: ClientFrame[] = [
  { type: "resume", after: 0 },
  { type: "send", id: key, bytes: new Uint8Array([1]), expiresIn: 10_000 },
  {
    type: "commit",
    id: key,
    bytes: new Uint8Array([1]),
    welcomes: [{ devices: [{ member, device }], bytes: new Uint8Array([2]) }],
    groupInfo: new Uint8Array([3]),
  },
  { type: "confirm", seq: 3 },
  { type: "pull", after: 3 },
  { type: "group_info" },
];

test("F3: every client frame survives its binary form", () => {
  for (const frame of frames) expect(decodeFrame(ClientFrame, encodeFrame(frame))).toEqual(frame);
});

test("F3: a frame with a missing, additional or wrong field is refused", () => {
  for (const frame of frames) {
    expect(decodeFrame(ClientFrame, encodeCbor({ ...frame, extra: 1 }))).toBeUndefined();
    for (const field of Object.keys(frame).filter((name) => name !== "expiresIn")) {
      const { [field as keyof typeof frame]: _, ...rest } = frame;
      expect(decodeFrame(ClientFrame, encodeCbor(rest)), field).toBeUndefined();
      for (const wrong of [null, -1, 1.5, "x", [1], {}, new Uint8Array(0)])
        expect(decodeFrame(ClientFrame, encodeCbor({ ...frame, [field]: wrong })), field).toBeUndefined();
    }
  }
});

test("F3: an envelope above its cap is refused", () => {
  const send = (size: number) =>
    decodeFrame(ClientFrame, encodeFrame({ type: "send", id: key, bytes: new Uint8Array(size) }));
  expect(send(LIMITS.envelopeBytes)).toBeDefined();
  expect(send(LIMITS.envelopeBytes + 1)).toBeUndefined();
});

test("F3: bit flips and truncation of a frame never throw", () => {
  const bytes = encodeFrame(frames[2] as ClientFrame);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bent = bytes.slice();
      bent[at] = (bent[at] ?? 0) ^ flip;
      for (const schema of [ClientFrame, ServerFrame, MailboxClientFrame, MailboxServerFrame])
        void decodeFrame(schema, bent);
      expect(decodeFrame(ClientFrame, bytes.subarray(0, at))).toBeUndefined();
    }),
  );
});

test("F3: prototype keys in a frame reach no prototype", () => {
  const hostile = encodeCbor(
    new Map([["__proto__", { polluted: 1 }] as const, ["type", "pull"], ["after", 1]] as never),
  );
  expect(decodeFrame(ClientFrame, hostile)).toBeUndefined();
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

/** Names, types and bounds of a schema, without functions: what a peer built from another commit must agree with. */
function shape(schema: unknown): unknown {
  return JSON.parse(
    JSON.stringify(schema, (name, value) =>
      name === "message" || name === "reference" || name === "expects" || typeof value === "function"
        ? undefined
        : value,
    ),
  );
}

test("F4: the wire format changes only together with its version", () => {
  const all = [ClientFrame, ServerFrame, MailboxClientFrame, MailboxServerFrame].map(shape);
  const fingerprint = createHash("sha256").update(JSON.stringify(all)).digest("hex").slice(0, 16);
  expect({ version: PROTOCOL_VERSIONS[0], fingerprint }).toMatchInlineSnapshot(`
    {
      "fingerprint": "67f55c341857cda0",
      "version": 1,
    }
  `);
});

test("F5: content survives its binary form and unknown content is refused", () => {
  const content = {
    type: "text" as const,
    text: "Guten Morgen",
    expiresIn: null,
    sentAt: 1,
    seen: { seq: 0, hash },
    keys: { size: 3, root: hash },
  };
  expect(decodeContent(encodeContent(content))).toEqual(content);
  expect(decodeContent(encodeCbor({ ...content, type: "poll" }))).toBeUndefined();
  expect(decodeContent(encodeCbor({ ...content, text: "x".repeat(LIMITS.textCharacters + 1) }))).toBeUndefined();
  expect(decodeCbor(encodeContent(content))).toBeDefined();
});

test("X36: a policy whose default lies outside its bounds is refused", () => {
  expect(v.is(Policy, DEFAULT_POLICY)).toBe(true);
  expect(v.is(Policy, { ...DEFAULT_POLICY, minExpiry: 60_000, defaultExpiry: 10_000 })).toBe(false);
  expect(v.is(Policy, { ...DEFAULT_POLICY, minExpiry: 60_000, maxExpiry: 30_000 })).toBe(false);
});
