// Owns the cryptography behind MLS cipher suite 1: WebCrypto where it can, JavaScript where it must. Knows nothing of groups.

import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Aead } from "ts-mls/crypto/aead.js";
import type { CiphersuiteImpl, CiphersuiteName } from "ts-mls/crypto/ciphersuite.js";
import type { Hash } from "ts-mls/crypto/hash.js";
import { makeGenericHpke } from "ts-mls/crypto/implementation/hpke.js";
import type { Kdf } from "ts-mls/crypto/kdf.js";
import type { Signature } from "ts-mls/crypto/signature.js";
import { concat, equalBytes, randomBytes } from "../../../schemas/bytes.ts";

/** RFC 9420 §17.1, cipher suite 1: the one suite Kuvert speaks. */
export const SUITE: CiphersuiteName = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

const ALGORITHMS = { kem: "DHKEM-X25519-HKDF-SHA256", kdf: "HKDF-SHA256", aead: "AES128GCM" } as const;

/** The two primitives that older browsers lack. */
export interface Curves {
  readonly signature: Signature;
  readonly kem: ConstructorParameters<typeof CipherSuite>[0]["kem"];
}

// One SHA-256 or HMAC through WebCrypto is an asynchronous call; MLS makes thousands of tiny ones, so JavaScript is as fast or faster
const hash: Hash = {
  digest: async (data) => sha256(data),
  mac: async (key, data) => hmac(sha256, key, data),
  verifyMac: async (key, mac, data) => equalBytes(mac, hmac(sha256, key, data)),
};

const kdf: Kdf = {
  extract: async (salt, ikm) => extract(sha256, ikm, salt),
  expand: async (prk, info, length) => expand(sha256, prk, info, length),
  size: 32,
};

const aead: Aead = {
  encrypt: (key, nonce, aad, plaintext) => aesGcm("encrypt", { key, nonce, aad, data: plaintext }),
  decrypt: (key, nonce, aad, ciphertext) => aesGcm("decrypt", { key, nonce, aad, data: ciphertext }),
};

async function aesGcm(
  usage: "encrypt" | "decrypt",
  input: { key: Uint8Array; nonce: Uint8Array; aad: Uint8Array; data: Uint8Array },
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", own(input.key), "AES-GCM", false, [usage]);
  const algorithm = { name: "AES-GCM", iv: own(input.nonce), additionalData: own(input.aad) };
  return new Uint8Array(await crypto.subtle[usage](algorithm, key, own(input.data)));
}

// A leaf's key stays the same array for as long as its epoch is loaded, and verifies every message of it
const imported = new WeakMap<Uint8Array, Promise<CryptoKey>>();

function verificationKey(publicKey: Uint8Array): Promise<CryptoKey> {
  const known = imported.get(publicKey);
  if (known !== undefined) return known;
  const key = crypto.subtle.importKey("raw", own(publicKey), "Ed25519", false, ["verify"]);
  imported.set(publicKey, key);
  return key;
}

// PKCS #8 around a raw Ed25519 seed (RFC 8410 §7)
const PKCS8 = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32);

const nativeSignature: Signature = {
  async sign(seed, message) {
    const key = await crypto.subtle.importKey("pkcs8", concat(PKCS8, seed), "Ed25519", false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("Ed25519", key, own(message)));
  },
  async verify(publicKey, message, signature) {
    const key = await verificationKey(publicKey);
    return crypto.subtle.verify("Ed25519", key, own(signature), own(message));
  },
  async keygen() {
    const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
    return { publicKey, signKey: pkcs8.slice(PKCS8.length) };
  },
};

/** Cipher suite 1 over given curves; exported so that tests can pit the two kinds against each other. */
export async function makeSuite(curves: Curves): Promise<CiphersuiteImpl> {
  const hpke = new CipherSuite({ kem: curves.kem, kdf: new HkdfSha256(), aead: new Aes128Gcm() });
  return {
    name: SUITE,
    hash,
    kdf,
    signature: curves.signature,
    hpke: await makeGenericHpke(ALGORITHMS, aead, hpke),
    rng: { randomBytes },
  };
}

/** Curves by WebCrypto. */
export function nativeCurves(): Curves {
  return { signature: nativeSignature, kem: new DhkemX25519HkdfSha256() };
}

let curvesHere: Promise<Curves> | undefined;
let chosen: Promise<CiphersuiteImpl> | undefined;

/** The curves for this platform; those in JavaScript are loaded only where WebCrypto lacks them. */
export function curves(): Promise<Curves> {
  curvesHere ??= chooseCurves().catch((error: unknown) => {
    curvesHere = undefined; // the chunk may load next time
    throw error;
  });
  return curvesHere;
}

/** The cipher suite for this platform. */
export function suite(): Promise<CiphersuiteImpl> {
  chosen ??= curves()
    .then(makeSuite)
    .catch((error: unknown) => {
      chosen = undefined;
      throw error;
    });
  return chosen;
}

async function chooseCurves(): Promise<Curves> {
  return (await hasNativeCurves()) ? nativeCurves() : (await import("./provider-fallback.ts")).fallbackCurves();
}

async function hasNativeCurves(): Promise<boolean> {
  try {
    const pair = (await crypto.subtle.generateKey("X25519", true, ["deriveBits"])) as CryptoKeyPair;
    await crypto.subtle.deriveBits({ name: "X25519", public: pair.publicKey }, pair.privateKey, 256);
    const { publicKey, signKey } = await nativeSignature.keygen();
    const message = Uint8Array.of(1);
    return await nativeSignature.verify(publicKey, message, await nativeSignature.sign(signKey, message));
  } catch {
    return false;
  }
}

/** The same bytes typed as backed by an ArrayBuffer, which WebCrypto wants; shared memory never reaches this folder. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
