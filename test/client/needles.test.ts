import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Needles } from "../support/needles.ts";

describe("what is searched for is found", () => {
  const secret = randomBytes(32);
  const search = new Needles(new Map([["secret", secret]]));
  const within = (text: string | Buffer) => Buffer.concat([randomBytes(1_000), Buffer.from(text), randomBytes(7)]);

  test.each([0, 1, 2, 3, 4])("T17: in any spelling, %i bytes into something longer", (shift) => {
    const longer = Buffer.concat([randomBytes(shift), secret, randomBytes(5)]);
    const written = [longer, longer.toString("hex"), longer.toString("hex").toUpperCase(), longer.toString("base64")];
    for (const text of [...written, longer.toString("base64url"), Buffer.from(longer.toString("latin1"), "utf16le")]) {
      expect([...search.findIn(within(text))]).toEqual(["secret"]);
    }
  });

  test("T17: at both ends of a file, and not where it is cut", () => {
    expect(search.findIn(secret).size).toBe(1);
    expect(search.findIn(secret.subarray(1)).size).toBe(0);
    expect(search.findIn(secret.subarray(0, 31)).size).toBe(0);
    expect(search.findIn(randomBytes(100_000)).size).toBe(0);
  });
});
