// Owns the recovery phrase: its 24 words (BIP-39, the English list in every language) and the keys that come of them. Sends nothing.

import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { randomBytes, toBase64url, utf8 } from "../../../schemas/bytes.ts";
import type { RecoveryId } from "../../../schemas/ids.ts";
import type { KeyPair } from "../group/device-keys.ts";
import type { Bytes } from "../records.ts";

const WORDS = 24;
// 256 random bits need no slow hash; the salt keeps these keys apart from every other use of the same words
const SALT = utf8("kuvert recovery 1");

/** What a phrase stands for. `backupKey` never leaves the devices of its member; `lookup` and the public key are all a server sees. */
export interface RecoveryKeys {
  readonly lookup: RecoveryId;
  readonly signIn: KeyPair;
  readonly backupKey: Bytes;
}

/** A new phrase of 24 words. */
export function createPhrase(): readonly string[] {
  return entropyToMnemonic(randomBytes(32), wordlist).split(" ");
}

/**
 * The words of a phrase as a person has typed or scanned it: in any case, with any separators or numbering, each word whole or as its first
 * four letters, which tell BIP-39 words apart. `undefined` when a word is unknown or the checksum says that one is wrong.
 */
export function readPhrase(text: string): readonly string[] | undefined {
  const typed =
    text
      .normalize("NFKD")
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  const words = typed.map(wordOf).filter((word) => word !== undefined);
  if (typed.length !== WORDS || words.length !== WORDS) return undefined;
  try {
    mnemonicToEntropy(words.join(" "), wordlist);
    return words;
  } catch {
    return undefined;
  }
}

/** The keys of a phrase. Throws for words that {@link readPhrase} would not have returned. */
export async function recoveryKeys(words: readonly string[]): Promise<RecoveryKeys> {
  const root = extract(sha256, mnemonicToEntropy(words.join(" "), wordlist), SALT);
  const key = (label: string, length: number) => expand(sha256, root, utf8(label), length);
  const seed = key("sign-in", 32);
  // Loaded on demand: WebCrypto can sign with a seed but has no way from a seed to its public key everywhere
  const { ed25519 } = await import("@noble/curves/ed25519.js");
  return {
    lookup: toBase64url(key("lookup", 16)) as RecoveryId,
    signIn: { publicKey: ed25519.getPublicKey(seed), privateKey: seed },
    backupKey: key("backup", 32) as Bytes,
  };
}

function wordOf(typed: string): string | undefined {
  if (wordlist.includes(typed)) return typed;
  return typed.length === 4 ? wordlist.find((word) => word.startsWith(typed)) : undefined;
}
