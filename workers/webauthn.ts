// Owns WebAuthn: what an authenticator has signed, and whether it holds for this origin. The one place that knows @simplewebauthn/server.
// Knows neither members nor tables.

import * as v from "valibot";
import type { PasskeyBody, PasskeySignInBody } from "../schemas/api.ts";
import { fromBase64url, toBase64url } from "../schemas/bytes.ts";
import { fromPasskeyChallenge } from "../schemas/passkey.ts";
import { Refusal } from "../schemas/refusal.ts";

/** COSE algorithms in order of preference (RFC 9053, RFC 8812): EdDSA, ES256, RS256. */
const ALGORITHMS = [-8, -7, -257];

// More than half of what the Worker weighs, and of use to few requests: evaluated when the first one comes
const library = () => import("@simplewebauthn/server");
const helpers = () => import("@simplewebauthn/server/helpers");

/** What a browser says it was asked for and by whom (WebAuthn §5.8.1); everything else in it is left to the library. */
const ClientData = v.object({ challenge: v.string(), origin: v.string() });

/** What is signed, for which challenge, at which address of ours. */
interface Signed<Answer> {
  readonly answer: Answer;
  readonly challenge: string;
  readonly origin: string;
}
type Registration = Pick<v.InferOutput<typeof PasskeyBody>, "credential" | "clientData" | "attestation">;
type Assertion = v.InferOutput<typeof PasskeySignInBody>;

/**
 * The challenge of ours that an authenticator was given, by what the browser says of it. Nothing is proven yet.
 * @throws {Refusal} malformed; origin_forbidden — a page of another origin has asked
 */
export function readChallenge(clientData: string, origin: string): string {
  const parsed = v.safeParse(ClientData, parse(clientData));
  const challenge = parsed.success ? fromPasskeyChallenge(parsed.output.challenge) : undefined;
  if (!parsed.success || challenge === undefined) throw new Refusal("malformed");
  if (parsed.output.origin !== origin) throw new Refusal("origin_forbidden");
  return challenge;
}

/** The public key (COSE, base64url) and counter of a credential just made with its person verified; `undefined` when that does not hold. */
export async function verifyRegistration({
  answer: { credential, clientData, attestation },
  challenge,
  origin,
}: Signed<Registration>): Promise<{ readonly publicKey: string; readonly counter: number } | undefined> {
  if (!(await isUnattested(attestation))) return undefined;
  const { verifyRegistrationResponse } = await library();
  const response = { clientDataJSON: clientData, attestationObject: attestation };
  const verified = await unless(
    verifyRegistrationResponse({
      response: { id: credential, rawId: credential, type: "public-key", response, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: new URL(origin).hostname,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    }),
  );
  if (!verified?.verified) return undefined;
  const { id, publicKey, counter } = verified.registrationInfo.credential;
  return id === credential ? { publicKey: toBase64url(publicKey), counter } : undefined;
}

/**
 * The counter of an authenticator that has signed with its person verified; `undefined` when the signature does not hold, or the counter has not
 * grown although it counts (WebAuthn §6.1.1: there may be a copy).
 */
export async function verifyAssertion({
  answer: { credential, user, clientData, authenticatorData, signature },
  challenge,
  origin,
  key: { publicKey, counter },
}: Signed<Assertion> & {
  readonly key: { readonly publicKey: string; readonly counter: number };
}): Promise<number | undefined> {
  const { verifyAuthenticationResponse } = await library();
  const response = { clientDataJSON: clientData, authenticatorData, signature, userHandle: user };
  const verified = await unless(
    verifyAuthenticationResponse({
      response: { id: credential, rawId: credential, type: "public-key", response, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: new URL(origin).hostname,
      requireUserVerification: true,
      credential: { id: credential, publicKey: fromBase64url(publicKey) ?? new Uint8Array(), counter },
    }),
  );
  return verified?.verified ? verified.authenticationInfo.newCounter : undefined;
}

/**
 * Who made an authenticator is not asked for, so nobody's certificates are looked at: none, or a self-made signature (WebAuthn §5.1.3). Others
 * would have the library fetch addresses that a stranger has written into a certificate.
 */
async function isUnattested(attestation: string): Promise<boolean> {
  const { decodeAttestationObject } = await helpers();
  try {
    const object = decodeAttestationObject(fromBase64url(attestation) ?? new Uint8Array());
    const format = object.get("fmt");
    return format === "none" || (format === "packed" && object.get("attStmt").get("x5c") === undefined);
  } catch {
    return false;
  }
}

/** The library says no by throwing; why is nobody's business. */
function unless<Verified>(verifying: Promise<Verified>): Promise<Verified | undefined> {
  return verifying.catch(() => undefined);
}

function parse(clientData: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(fromBase64url(clientData)));
  } catch {
    return undefined;
  }
}
