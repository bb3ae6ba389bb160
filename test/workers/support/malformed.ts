// Makes bad frames out of good ones: the shapes that break a decoder, a schema, or a rule.

import fc from "fast-check";
import { concat } from "../../../schemas/bytes.ts";
import { encodeCbor } from "../../../schemas/cbor.ts";

type Frame = Readonly<Record<string, unknown>>;

const oddity = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    -0,
    0.5,
    2 ** 53,
    -(2 ** 53),
    "",
    "x",
    [],
    {},
    new Uint8Array(),
    "\0",
    "\ud800",
    "__proto__",
  ),
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.uint8Array({ maxLength: 40 }),
  fc.array(fc.integer(), { maxLength: 5 }),
  fc.dictionary(fc.string(), fc.integer(), { maxKeys: 3 }),
);

const withKey = (frame: Frame) =>
  fc
    .tuple(fc.constantFrom(...Object.keys(frame), "__proto__", "constructor", "extra"), oddity)
    .map(([key, value]) => encode({ ...frame, [key]: value }));
const withoutKey = (frame: Frame) =>
  fc
    .constantFrom(...Object.keys(frame))
    .map((gone) => encode(Object.fromEntries(Object.entries(frame).filter(([key]) => key !== gone))));
const cutOff = (frame: Frame) => fc.nat(encode(frame).length - 1).map((length) => encode(frame).slice(0, length));
const flipped = (frame: Frame) =>
  fc.array(fc.tuple(fc.nat(encode(frame).length - 1), fc.nat(7)), { minLength: 1, maxLength: 4 }).map((flips) => {
    const bytes = encode(frame).slice();
    for (const [at, bit] of flips) bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
    return bytes;
  });
const withTail = (frame: Frame) =>
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map((tail) => concat(encode(frame), tail));
/** The MLS bytes inside are bad, the frame around them is not. */
const withBadBytes = (frame: Frame) => {
  const { bytes } = frame;
  if (!(bytes instanceof Uint8Array)) return withKey(frame);
  return fc.tuple(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean()).map(([at, value, cut]) => {
    const bad = cut ? bytes.slice(0, at + 1) : bytes.slice();
    bad[at] = value;
    return encode({ ...frame, bytes: bad });
  });
};

/** Bytes no encoder of the protocol makes: indefinite lengths, tags, length bombs, duplicate keys, deep nesting, not-a-number. */
const raw = fc.constantFrom(
  [0xbf, 0xff],
  [0x9f, 0xff],
  [0x5f, 0xff],
  [0xc1, 0x00],
  [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xbb, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x01],
  [0xf9, 0x7e, 0x00],
  [0xf7],
  [],
  Array.from({ length: 50_000 }, () => 0x81),
  Array.from({ length: 50_000 }, () => 0xa1),
);

/** Bad frames of every kind made from good ones; some few may still be good. */
export function malformed(good: readonly Frame[]): fc.Arbitrary<Uint8Array> {
  const frame = fc.constantFrom(...good);
  const mutations = [withKey, withoutKey, cutOff, flipped, withTail, withBadBytes].map((mutate) => frame.chain(mutate));
  return fc.oneof(
    ...mutations,
    raw.map((bytes) => Uint8Array.from(bytes)),
    fc.uint8Array({ maxLength: 200 }),
  );
}

/** Encodes what the encoder takes; what it does not take becomes one odd byte. */
function encode(frame: unknown): Uint8Array {
  try {
    return encodeCbor(frame);
  } catch {
    return Uint8Array.of(0xf7);
  }
}
