// Owns the passkey of an app lock: has one made for it and asks it. The server never hears of it: only the secret its authenticator makes is used.

import { concat, fromBase64url, randomBytes, toBase64url, utf8 } from "../../schemas/bytes.ts";
import type { PasskeyHeader } from "../engine/seal/header.ts";
import type { PasskeyOpener } from "../engine/seal/keys.ts";
import { askSecret, makePasskey, type PasskeyOutcome } from "./passkey.ts";

/** What the authenticator makes the secret of: another text than for a backup's passkey, and another one for every lock. */
const textOf = (salt: Uint8Array<ArrayBuffer>) => concat(utf8("kuvert app lock 1\0"), salt);

/** Has an authenticator make a passkey for a new lock; `name` is what it calls it. */
export async function makeLockPasskey(name: string): Promise<PasskeyOutcome<PasskeyOpener>> {
  const salt = randomBytes(16);
  // Random, because an authenticator replaces the passkey it has for a user by a new one: that may be the one to a backup
  const user = { id: toBase64url(randomBytes(32)), name };
  const outcome = await makePasskey({ challenge: toBase64url(randomBytes(32)), user, taken: [] }, textOf(salt));
  if (outcome.kind !== "done") return outcome;
  const { credential, secret } = outcome.value;
  return openerOf({ credential, salt }, secret);
}

/** Asks the passkey of a lock, and no other. */
export async function askLockPasskey(passkey: PasskeyHeader): Promise<PasskeyOutcome<PasskeyOpener>> {
  const outcome = await askSecret(passkey.credential, textOf(passkey.salt));
  return outcome.kind === "done" ? openerOf(passkey, outcome.value) : outcome;
}

function openerOf({ credential, salt }: PasskeyHeader, secret: string): PasskeyOutcome<PasskeyOpener> {
  return { kind: "done", value: { credential, salt, secret: fromBase64url(secret) ?? new Uint8Array() } };
}
