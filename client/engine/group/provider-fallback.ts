// Owns Ed25519 and X25519 in JavaScript for browsers whose WebCrypto lacks them. Loaded on demand only: it must stay a chunk of its own.

import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
import { ed25519 } from "@noble/curves/ed25519.js";
import type { Curves } from "./provider.ts";

/** Curves by JavaScript, with the strict verification of RFC 8032 that WebCrypto applies. */
export function fallbackCurves(): Curves {
  return {
    signature: {
      sign: async (seed, message) => ed25519.sign(message, seed),
      verify: async (publicKey, message, signature) => ed25519.verify(signature, message, publicKey, { zip215: false }),
      async keygen() {
        const signKey = ed25519.utils.randomSecretKey();
        return { signKey, publicKey: ed25519.getPublicKey(signKey) };
      },
    },
    kem: new DhkemX25519HkdfSha256(),
  };
}
