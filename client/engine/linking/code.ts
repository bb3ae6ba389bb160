// Owns the code that links a device: 80 random bits as a person reads, types or scans them, and the keys that come of them. Sends nothing.

import { expand } from "@noble/hashes/hkdf.js";
import { scryptAsync } from "@noble/hashes/scrypt.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { randomBytes, toBase64url, utf8 } from "../../../schemas/bytes.ts";
import type { LinkId } from "../../../schemas/ids.ts";

// Crockford's Base32: no I, L, O or U
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS = 16;
const GROUP = 4;
// A server that keeps the id of a meeting place would have to try 2^80 codes at this price each
const COST = { N: 2 ** 14, r: 8, p: 1, dkLen: 32 };

/** What a code stands for: where the two devices meet, and the secret they share. */
export interface LinkKeys {
  readonly id: LinkId;
  readonly psk: Uint8Array<ArrayBuffer>;
}

/** A new code: 16 characters, shown as four groups of four. */
export function createCode(): string {
  // One byte for each character: 256 is a multiple of 32, so that all characters are equally likely
  const characters = [...randomBytes(CHARACTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
  return (characters.match(/.{4}/g) ?? []).join("-");
}

/** The address a QR code of a code holds. The code stands behind "#", which browsers never send. */
export function linkAddress(server: string, code: string): string {
  return `${new URL(server).origin}/link#${code}`;
}

/**
 * A code as somebody typed or scanned it: in any case, with any separators, with the letters people mistake for digits, or as the address of
 * {@link linkAddress}. `undefined` for anything else.
 */
export function readCode(text: string): string | undefined {
  const typed = text.trim().replace(/^https?:\/\/[^#]*\/link#/i, "");
  const characters = typed
    .toUpperCase()
    .replaceAll(/[\s\-–—.]/g, "")
    .replaceAll("O", "0")
    .replaceAll(/[IL]/g, "1");
  if (characters.length !== CHARACTERS || [...characters].some((character) => !ALPHABET.includes(character))) {
    return undefined;
  }
  const starts = Array.from({ length: CHARACTERS / GROUP }, (_, group) => group * GROUP);
  return starts.map((start) => characters.slice(start, start + GROUP)).join("-");
}

/** The keys of a code that {@link createCode} or {@link readCode} returned. */
export async function linkKeys(code: string): Promise<LinkKeys> {
  const root = await scryptAsync(utf8(code.replaceAll("-", "")), utf8("kuvert link 1"), COST);
  const id = toBase64url(expand(sha256, root, utf8("id"), 16)) as LinkId;
  return { id, psk: expand(sha256, root, utf8("psk"), 32) as Uint8Array<ArrayBuffer> };
}
