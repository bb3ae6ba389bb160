// The frame written by hand says the same as the general encoder.

import fc from "fast-check";
import { expect, test } from "vitest";
import { toHex } from "../../schemas/bytes.ts";
import { encodeFrame } from "../../schemas/frames.ts";
import { encodeEnvelopes } from "../../workers/conversation/envelopes-bytes.ts";

const number = fc.oneof(fc.nat(300), fc.nat(70_000), fc.maxSafeNat());
const blob = (length?: number) =>
  fc.uint8Array(length === undefined ? { minLength: 1, maxLength: 300 } : { minLength: length, maxLength: length });
const envelope = fc.record({
  seq: number,
  id: blob(16),
  acceptedAt: number,
  expiresAt: fc.option(number),
  bytes: fc.option(blob()),
  digest: fc.option(blob(32)),
});
const frame = fc.record({
  type: fc.constant("envelopes" as const),
  envelopes: fc.array(envelope, { maxLength: 30 }),
  hash: blob(32),
  head: number,
  delivered: number,
  now: number,
});

test("F13: a frame of envelopes has the bytes that every encoder of the protocol gives it", () => {
  fc.assert(
    fc.property(frame, (value) => {
      const owned = value as Parameters<typeof encodeEnvelopes>[0];
      expect(toHex(encodeEnvelopes(owned))).toBe(toHex(encodeFrame(owned)));
    }),
  );
});
