// The recovery phrase against BIP-39's own vectors and Node's independent HKDF and Ed25519.

import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createPhrase, readPhrase, recoveryKeys } from "../../../client/engine/recovery/phrase.ts";
import { fromBase64url, toHex } from "../../../schemas/bytes.ts";

// Entropy and words from the vectors that BIP-39 names (github.com/trezor/python-mnemonic, vectors.json)
const VECTORS = [
  ["00".repeat(32), `${"abandon ".repeat(23)}art`],
  ["ff".repeat(32), `${"zoo ".repeat(23)}vote`],
  [
    "7f".repeat(32),
    "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
  ],
  [
    "80".repeat(32),
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
  ],
] as const;

const read = (text: string): readonly string[] => {
  const words = readPhrase(text);
  if (words === undefined) throw new Error("unread");
  return words;
};

describe("phrase", () => {
  test.each(VECTORS)("Y5: stands for the entropy that BIP-39 says: %s", async (entropy, words) => {
    const keys = await recoveryKeys(read(words));
    const derive = (label: string, length: number) =>
      Buffer.from(hkdfSync("sha256", Buffer.from(entropy, "hex"), "kuvert recovery 1", label, length));
    expect(toHex(keys.backupKey)).toBe(derive("backup", 32).toString("hex"));
    expect(toHex(fromBase64url(keys.lookup) ?? new Uint8Array())).toBe(derive("lookup", 16).toString("hex"));
    const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), derive("sign-in", 32)]);
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
    expect(toHex(keys.signIn.publicKey)).toBe(
      Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url").toString("hex"),
    );
    expect(toHex(keys.signIn.privateKey)).toBe(derive("sign-in", 32).toString("hex"));
  });

  test("Y5: its three keys tell nothing of each other and no two phrases share any", async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const phrase = createPhrase();
      expect(phrase).toHaveLength(24);
      const { lookup, signIn, backupKey } = await recoveryKeys(phrase);
      for (const key of [lookup, toHex(signIn.privateKey), toHex(signIn.publicKey), toHex(backupKey)]) seen.add(key);
    }
    expect(seen.size).toBe(20);
  });

  test("Y5: is understood however it is typed: upper case, numbered, in lines, or by the first four letters", async () => {
    const phrase = createPhrase();
    const variants = [
      phrase.join(" "),
      `  ${phrase.join("\n").toUpperCase()} `,
      phrase.map((word, index) => `${index + 1}. ${word}`).join(", "),
      phrase.map((word) => word.slice(0, 4)).join("-"),
    ];
    for (const variant of variants) expect(readPhrase(variant)).toEqual(phrase);
  });

  test.each([
    ["a word too few", (words: string[]) => words.slice(1)],
    ["a word too many", (words: string[]) => [...words, "zoo"]],
    ["a word that is none", (words: string[]) => ["kuvert", ...words.slice(1)]],
    ["a part of a word that fits several", (words: string[]) => ["aban", "abs", ...words.slice(2)]],
    ["a wrong word, by the checksum", (words: string[]) => ["zoo", ...words.slice(1)]],
    ["nothing", () => []],
  ])("Y5: is not understood with %s", (_, change) => {
    const words = `${"abandon ".repeat(23)}art`.split(" ");
    expect(readPhrase(words.join(" "))).toBeDefined();
    expect(readPhrase(change(words).join(" "))).toBeUndefined();
  });
});
