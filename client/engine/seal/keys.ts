// Owns where the key of a sealed store comes from: the server's share, this browser's part, and the passphrase if there is one. No one of them
// says anything without the others, so a guessed passphrase cannot be tried without the server. Sends and keeps nothing.

import { hkdf } from "@noble/hashes/hkdf.js";
import { scryptAsync } from "@noble/hashes/scrypt.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { sealAt, sealingKey, unsealAt } from "./cipher.ts";
import type { LockHeader, Way } from "./header.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** scrypt's N as OWASP names it, with r = 8 and p = 1: 128 MiB and about a second for each guess of somebody who has everything else. */
const COST = 2 ** 17;
const LOCAL = utf8("kuvert seal local 1");
const STORE_KEY = utf8("kuvert seal store key 1");

/** What comes of a passphrase: a part of the key, and what proves it to the server. Neither says anything of the other. */
export interface Passed {
  readonly part: Bytes;
  readonly verifier: Bytes;
}

/** What this browser has: its part of the key, and the secret that asks for the server's. */
export interface Local {
  readonly part: Bytes;
  readonly secret: Bytes;
}

/** A way to a store's key, with what the server has to be told of it. */
export interface NewWay {
  readonly way: Way;
  readonly secret: Bytes;
  readonly share: Bytes;
  readonly passed: Passed | null;
}

/** What a passphrase comes to; the same however its letters are composed. */
export async function pass(passphrase: string, { salt, cost }: Pick<LockHeader, "salt" | "cost">): Promise<Passed> {
  const price = { N: cost, r: 8, p: 1, dkLen: 64 };
  const bytes = (await scryptAsync(utf8(passphrase.normalize("NFKC")), salt, price)) as Bytes;
  return { part: bytes.slice(0, 32), verifier: bytes.slice(32) };
}

/** Makes a new way to `storeKey`, with parts nobody has seen yet; with a passphrase it leads nowhere without it. */
export async function makeWay(
  platformKey: CryptoKey,
  storeKey: Bytes,
  lock: { readonly passphrase: string; readonly minutes: number; readonly cost?: number | undefined } | null,
): Promise<NewWay> {
  const [part, secret, share] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const header = lock === null ? null : { salt: randomBytes(16), cost: lock.cost ?? COST, minutes: lock.minutes };
  const passed = lock === null || header === null ? null : await pass(lock.passphrase, header);
  const wrapping = await wrappingKey({ share, local: { part, secret }, passed });
  const way = {
    local: await sealAt(platformKey, LOCAL, concat(part, secret)),
    key: await sealAt(wrapping, STORE_KEY, storeKey),
    lock: header,
  };
  return { way, secret, share, passed };
}

/** This browser's part of a way; `undefined` when it is another browser's or damaged. */
export async function openLocal(platformKey: CryptoKey, way: Way): Promise<Local | undefined> {
  const bytes = await unsealAt(platformKey, LOCAL, way.local);
  return bytes && { part: bytes.slice(0, 32), secret: bytes.slice(32) };
}

/** The store's key at the end of a way; `undefined` when one of the parts is not the right one. */
export async function followWay(
  way: Way,
  parts: { readonly share: Bytes; readonly local: Local; readonly passed: Passed | null },
): Promise<Bytes | undefined> {
  return unsealAt(await wrappingKey(parts), STORE_KEY, way.key);
}

function wrappingKey(parts: { share: Bytes; local: Local; passed: Passed | null }): Promise<CryptoKey> {
  const { share, local, passed } = parts;
  const material = concat(share, local.part, passed?.part ?? new Uint8Array());
  const label = passed === null ? "kuvert seal wrapping 1" : "kuvert seal wrapping by passphrase 1";
  return sealingKey(hkdf(sha256, material, undefined, utf8(label), 32) as Bytes);
}
