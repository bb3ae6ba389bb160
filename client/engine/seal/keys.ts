// Owns where the key of a sealed store comes from: the server's share, this browser's part, and passphrase or passkey if there is a lock. No one
// of them says anything without the others, so a guessed passphrase cannot be tried without the server. Sends and keeps nothing.

import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, equalBytes, randomBytes, utf8 } from "../../../schemas/bytes.ts";
import { late } from "../late.ts";
import { sealAt, sealingKey, unsealAt } from "./cipher.ts";
import type { PasskeyHeader, PassphraseHeader, Way } from "./header.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** scrypt's N as OWASP names it, with r = 8 and p = 1: 128 MiB and about a second for each guess of somebody who has everything else. */
const COST = 2 ** 17;
const LOCAL = utf8("kuvert seal local 1");
const STORE_KEY = utf8("kuvert seal store key 1");
const PASSKEY = utf8("kuvert app lock by passkey 1");

/** What a person opens an app lock with: a passphrase, or a passkey. */
export type Opener = string | PasskeyOpener;

/** A passkey with the 32 bytes its authenticator makes of the lock's own text (WebAuthn's PRF extension, §10.1.4), which leave the browser never. */
export interface PasskeyOpener extends PasskeyHeader {
  readonly secret: Bytes;
}

/** What comes of an {@link Opener}: a part of the key, and what proves it to the server. Neither says anything of the other. */
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

/**
 * What an opener comes to at this lock; null when it is not what the lock asks for, and could not be the right one.
 * @throws {Refusal} unavailable — what a passphrase takes could not be loaded
 */
export async function pass(opener: Opener, lock: PassphraseHeader | PasskeyHeader): Promise<Passed | null> {
  if (typeof opener === "string") return "cost" in lock ? passByPhrase(opener, lock) : null;
  const isAsked = "credential" in lock && lock.credential === opener.credential && equalBytes(lock.salt, opener.salt);
  // 32 random bytes need no stretching
  return isAsked ? split(hkdf(sha256, opener.secret, lock.salt, PASSKEY, 64) as Bytes) : null;
}

/** The same however the letters are composed. What it takes is loaded where there is a passphrase: most profiles have none. */
async function passByPhrase(passphrase: string, { salt, cost }: PassphraseHeader): Promise<Passed> {
  const { scryptAsync } = await late(() => import("@noble/hashes/scrypt.js"));
  const price = { N: cost, r: 8, p: 1, dkLen: 64 };
  return split((await scryptAsync(utf8(passphrase.normalize("NFKC")), salt, price)) as Bytes);
}

const split = (bytes: Bytes): Passed => ({ part: bytes.slice(0, 32), verifier: bytes.slice(32) });

/** Makes a new way to `storeKey`, with parts nobody has seen yet; with a lock it leads nowhere without what opens that. */
export async function makeWay(
  platformKey: CryptoKey,
  storeKey: Bytes,
  lock: { readonly opener: Opener; readonly minutes: number; readonly cost?: number | undefined } | null,
): Promise<NewWay> {
  const [part, secret, share] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const header = lock && { ...headerFor(lock.opener, lock.cost ?? COST), minutes: lock.minutes };
  const passed = lock && header && (await pass(lock.opener, header));
  const wrapping = await wrappingKey({ share, local: { part, secret }, passed });
  const way = {
    local: await sealAt(platformKey, LOCAL, concat(part, secret)),
    key: await sealAt(wrapping, STORE_KEY, storeKey),
    lock: header,
  };
  return { way, secret, share, passed };
}

function headerFor(opener: Opener, cost: number): PassphraseHeader | PasskeyHeader {
  if (typeof opener === "string") return { salt: randomBytes(16), cost };
  const { credential, salt } = opener;
  return { credential, salt };
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
