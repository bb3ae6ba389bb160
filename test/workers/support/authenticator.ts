// A software authenticator: makes passkeys and answers challenges byte for byte as WebAuthn says, and lies where a test wants it to.

import { encode } from "cborg";
import { concat, randomBytes, toBase64url, utf8 } from "../../../schemas/bytes.ts";
import { toPasskeyChallenge } from "../../../schemas/passkey.ts";
import { ORIGIN } from "./people.ts";

const PRESENT = 0x01;
const VERIFIED = 0x04;
const ATTESTED = 0x40;

/** What an authenticator or the browser before it may say otherwise than it should. */
export interface Lies {
  readonly origin?: string;
  readonly type?: string;
  readonly rpId?: string;
  readonly isUnverified?: boolean;
  readonly counter?: number;
  readonly attestation?: object;
  readonly format?: string;
}

type Bytes = Uint8Array<ArrayBuffer>;
const sha256 = async (bytes: Bytes): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/** WebAuthn's ES256 signatures are DER (§6.5.5), WebCrypto's are two numbers side by side. */
function toDer(signature: Bytes): Bytes {
  const number = (bytes: Bytes): Bytes => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const digits = bytes.slice(start === -1 ? bytes.length - 1 : start);
    const positive = (digits[0] ?? 0) < 0x80 ? digits : concat(Uint8Array.of(0), digits);
    return concat(Uint8Array.of(0x02, positive.length), positive);
  };
  const both = concat(number(signature.slice(0, 32)), number(signature.slice(32)));
  return concat(Uint8Array.of(0x30, both.length), both);
}

/** A key and how COSE spells its public half (RFC 9053 §7). */
async function newCoseKey(algorithm: "ES256" | "EdDSA") {
  const generate = algorithm === "ES256" ? { name: "ECDSA", namedCurve: "P-256" } : { name: "Ed25519" };
  const pair = (await crypto.subtle.generateKey(generate, true, ["sign", "verify"])) as CryptoKeyPair;
  const raw = new Uint8Array((await crypto.subtle.exportKey("raw", pair.publicKey)) as ArrayBuffer);
  const publicKey =
    algorithm === "ES256"
      ? ([
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, raw.slice(1, 33)],
          [-3, raw.slice(33)],
        ] as const)
      : ([
          [1, 1],
          [3, -8],
          [-1, 6],
          [-2, raw],
        ] as const);
  return {
    cose: encode(new Map<number, unknown>(publicKey)) as Bytes,
    sign: async (bytes: Bytes): Promise<Bytes> => {
      const how = algorithm === "ES256" ? { name: "ECDSA", hash: "SHA-256" } : { name: "Ed25519" };
      const signature = new Uint8Array(await crypto.subtle.sign(how, pair.privateKey, bytes));
      return algorithm === "ES256" ? toDer(signature) : signature;
    },
  };
}

/** An authenticator with one passkey; its counter counts unless it is told to stay at 0, as those that are synchronised do. */
export async function newAuthenticator(
  user: string,
  { algorithm = "ES256", counts = true }: { readonly algorithm?: "ES256" | "EdDSA"; readonly counts?: boolean } = {},
) {
  const [id, key] = [randomBytes(16), await newCoseKey(algorithm)];
  const credential = toBase64url(id);
  let uses = 0;
  const authData = async (extra: Bytes, flags: number, { rpId, isUnverified, counter }: Lies): Promise<Bytes> => {
    const count = new Uint8Array(4);
    if (counts) uses += 1;
    new DataView(count.buffer).setUint32(0, counter ?? uses);
    const said = flags | PRESENT | (isUnverified ? 0 : VERIFIED);
    return concat(await sha256(utf8(rpId ?? new URL(ORIGIN).hostname)), Uint8Array.of(said), count, extra);
  };
  const clientDataOf = (challenge: string, type: string, { origin }: Lies): Bytes =>
    utf8(
      JSON.stringify({ type, challenge: toPasskeyChallenge(challenge), origin: origin ?? ORIGIN, crossOrigin: false }),
    );

  return {
    credential,
    /** What creating the passkey gives. */
    register: async (challenge: string, lies: Lies = {}) => {
      const attested = concat(new Uint8Array(16), Uint8Array.of(0, id.length), id, key.cose);
      const attestation = encode({
        fmt: lies.format ?? "none",
        attStmt: lies.attestation ?? {},
        authData: await authData(attested, ATTESTED, lies),
      });
      const clientData = clientDataOf(challenge, lies.type ?? "webauthn.create", lies);
      return { credential, clientData: toBase64url(clientData), attestation: toBase64url(attestation) };
    },
    /** The answer to a challenge. */
    assert: async (challenge: string, lies: Lies = {}) => {
      const authenticatorData = await authData(new Uint8Array(), 0, lies);
      const clientData = clientDataOf(challenge, lies.type ?? "webauthn.get", lies);
      return {
        credential,
        user,
        clientData: toBase64url(clientData),
        authenticatorData: toBase64url(authenticatorData),
        signature: toBase64url(await key.sign(concat(authenticatorData, await sha256(clientData)))),
      };
    },
  };
}
export type Authenticator = Awaited<ReturnType<typeof newAuthenticator>>;
