// Owns how a passkey (WebAuthn) speaks of Kuvert's things: the name it has for its member, and what it signs. Does no cryptography itself.

import { concat, fromBase64url, toBase64url, utf8 } from "./bytes.ts";
import { idBytes, type MemberId, type TenantId } from "./ids.ts";

/**
 * The user handle of a member's passkeys, in base64url: an authenticator keeps one passkey for each, so that one made anew takes the place of
 * one that opens nothing any more. Tells nobody a name.
 */
export function passkeyUser({ tenant, member }: { readonly tenant: TenantId; readonly member: MemberId }): string {
  return toBase64url(concat(idBytes(tenant), idBytes(member)));
}

/** A challenge of the server as WebAuthn takes it: its bytes in base64url. */
export function toPasskeyChallenge(challenge: string): string {
  return toBase64url(utf8(challenge));
}

/** The challenge that {@link toPasskeyChallenge} was given; `undefined` for what it cannot have made. */
export function fromPasskeyChallenge(text: string): string | undefined {
  const bytes = fromBase64url(text);
  return bytes && new TextDecoder().decode(bytes);
}
