// Owns what only a page can do about passkeys: have one made, ask one, and tell what went wrong. The library for it comes when it is first
// needed. Knows neither the server nor what a passkey opens.

import { randomBytes, toBase64url, utf8 } from "../../schemas/bytes.ts";
import type { NewPasskey, PasskeyAnswer, PasskeyOffer } from "../engine/view.ts";

/** What an authenticator makes the secret of that opens a backup; another text would be another secret for every passkey. */
const BACKUP = utf8("kuvert passkey 1");
/** Has it made, as WebAuthn's PRF extension asks for it (§10.1.4). */
const prfOf = (text: Uint8Array<ArrayBuffer>) => ({ prf: { eval: { first: text } } });
/** COSE algorithms the server takes, best first: EdDSA, ES256, RS256. */
const ALGORITHMS = [-8, -7, -257];
/** How long a person has for it, in ms: as long as the server's challenge. */
const TIMEOUT = 5 * 60_000;

/**
 * Why there is no passkey. `unsupported`: not in this browser or at this address; `no_prf`: the authenticator has no secret to give, so that
 * it could prove who one is but open nothing; `taken`: it holds one of the member's already; `off`: called off, or nobody came.
 */
export type PasskeyTrouble = "unsupported" | "no_prf" | "taken" | "off";
export type PasskeyOutcome<Value> =
  | { readonly kind: "done"; readonly value: Value }
  | { readonly kind: PasskeyTrouble };

/** The results of the extension; where the browser knows nothing of it there are none. */
interface Results {
  readonly prf?: { readonly enabled?: boolean; readonly results?: { readonly first?: ArrayBuffer } };
}

/** Whether there is any use in offering passkeys here. */
export function knowsPasskeys(): boolean {
  return typeof PublicKeyCredential === "function";
}

/** Has an authenticator make a passkey with the secret of `text`; one without PRF is taken back as far as the browser can. */
export async function makePasskey(
  { challenge, user, taken }: PasskeyOffer,
  text = BACKUP,
): Promise<PasskeyOutcome<NewPasskey>> {
  const { startRegistration } = await import("@simplewebauthn/browser");
  const outcome = await attempt(() =>
    startRegistration({
      optionsJSON: {
        challenge,
        rp: { id: location.hostname, name: "Kuvert" },
        user: { ...user, displayName: user.name },
        pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: taken.map((id) => ({ type: "public-key", id })),
        authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
        attestation: "none",
        timeout: TIMEOUT,
        extensions: prfOf(text),
      },
    }),
  );
  if (outcome.kind !== "done") return outcome;
  const { id, response, clientExtensionResults } = outcome.value;
  const { prf } = clientExtensionResults as Results;
  // Some have the extension and give its result only to an answer, not at making
  const isAsked = prf?.enabled === true && prf.results?.first === undefined;
  const secret = isAsked ? await askSecret(id, text) : secretOf(clientExtensionResults);
  if (secret.kind !== "done") {
    await forgetPasskey(id);
    return secret;
  }
  const { clientDataJSON: clientData, attestationObject: attestation } = response;
  return { kind: "done", value: { credential: id, clientData, attestation, secret: secret.value } };
}

/** Asks whichever passkey of this address a person chooses. */
export async function askPasskey(challenge: string): Promise<PasskeyOutcome<PasskeyAnswer>> {
  const outcome = await attempt(() => ask(challenge, BACKUP));
  if (outcome.kind !== "done") return outcome;
  const { id, response, clientExtensionResults } = outcome.value;
  const secret = secretOf(clientExtensionResults);
  if (secret.kind !== "done") return secret;
  const { clientDataJSON: clientData, authenticatorData, signature, userHandle: user = "" } = response;
  const value = { credential: id, user, clientData, authenticatorData, signature, secret: secret.value };
  return { kind: "done", value };
}

/** Tells the browser that a passkey is of no use any more, so that it need not offer it; where it cannot be told, it goes on offering it. */
export async function forgetPasskey(credential: string): Promise<void> {
  const { signalUnknownCredential } = PublicKeyCredential as { signalUnknownCredential?: (options: object) => unknown };
  await signalUnknownCredential?.call(PublicKeyCredential, { rpId: location.hostname, credentialId: credential });
}

async function ask(challenge: string, text: Uint8Array<ArrayBuffer>, credential?: string) {
  const { startAuthentication } = await import("@simplewebauthn/browser");
  return startAuthentication({
    optionsJSON: {
      challenge,
      rpId: location.hostname,
      userVerification: "required",
      timeout: TIMEOUT,
      extensions: prfOf(text),
      ...(credential !== undefined && { allowCredentials: [{ type: "public-key", id: credential }] }),
    },
  });
}

/** Asks one passkey for its secret of `text` alone. Nobody checks its signature, so that any challenge will do. */
export async function askSecret(credential: string, text: Uint8Array<ArrayBuffer>): Promise<PasskeyOutcome<string>> {
  const outcome = await attempt(() => ask(toBase64url(randomBytes(32)), text, credential));
  return outcome.kind === "done" ? secretOf(outcome.value.clientExtensionResults) : outcome;
}

function secretOf(results: object): PasskeyOutcome<string> {
  const first = (results as Results).prf?.results?.first;
  return first === undefined ? { kind: "no_prf" } : { kind: "done", value: toBase64url(new Uint8Array(first)) };
}

/** Runs a ceremony. What a person or the authenticator refuses is an outcome; anything else is a bug and is thrown. */
async function attempt<Value>(ceremony: () => Promise<Value>): Promise<PasskeyOutcome<Value>> {
  if (!knowsPasskeys()) return { kind: "unsupported" };
  try {
    return { kind: "done", value: await ceremony() };
  } catch (error) {
    const kind = error instanceof Error ? TROUBLES[error.name] : undefined;
    if (kind === undefined) throw error;
    return { kind };
  }
}

/** The errors WebAuthn knows (§5.1.3, §5.1.4), by what a person is told. */
const TROUBLES: Readonly<Record<string, PasskeyTrouble>> = {
  NotAllowedError: "off",
  AbortError: "off",
  InvalidStateError: "taken",
  ConstraintError: "unsupported",
  NotSupportedError: "unsupported",
  SecurityError: "unsupported",
};
