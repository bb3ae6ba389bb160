import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, equalBytes, fromBase64url, toBase64url, toHex } from "../../schemas/bytes.ts";
import { decodeCbor, encodeCbor } from "../../schemas/cbor.ts";

const bytes = fc.uint8Array({ maxLength: 300 });

test("F1: base64url goes both ways and has one spelling for each byte string", () => {
  fc.assert(
    fc.property(bytes, (value) => {
      expect(fromBase64url(toBase64url(value))).toEqual(new Uint8Array(value));
    }),
  );
  for (const text of ["A", "AB=", "AB+", "A B", "AB", "AAB", "Ä"]) expect(fromBase64url(text)).toBeUndefined();
});

test("F1: hex, concat and equalBytes agree with the platform", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(toHex(a)).toBe(Buffer.from(a).toString("hex"));
      expect(Buffer.from(concat(a, b))).toEqual(Buffer.concat([a, b]));
      expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
    }),
  );
});

test("F2: CBOR is deterministic whatever the order of keys", () => {
  expect(encodeCbor({ b: 1, a: new Uint8Array([1]) })).toEqual(encodeCbor({ a: new Uint8Array([1]), b: 1 }));
});

test("F2: anything but one strict CBOR item is refused", () => {
  const hostile: Record<string, number[]> = {
    empty: [],
    truncated: [0x42, 1],
    "left over": [0x01, 0x01],
    "indefinite array": [0x9f, 0x01, 0xff],
    "indefinite bytes": [0x5f, 0x41, 0x01, 0xff],
    "duplicate key": [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02],
    "non-minimal integer": [0x18, 0x01],
    NaN: [0xf9, 0x7e, 0x00],
    Infinity: [0xf9, 0x7c, 0x00],
    undefined: [0xf7],
    "tagged date": [0xc1, 0x01],
    "integer past 2^53": [0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    "length bomb": [0x5b, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff],
    "nesting bomb": new Array(100_000).fill(0x81),
  };
  for (const [name, input] of Object.entries(hostile)) expect(decodeCbor(new Uint8Array(input)), name).toBeUndefined();
});

test("F2: random bytes never throw out of the decoder", () => {
  fc.assert(
    fc.property(bytes, (value) => void decodeCbor(value)),
    { numRuns: 2_000 },
  );
});
