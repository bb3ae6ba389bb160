// Owns what a passphrase of the app lock must be, and what a passkey gives it.

/** The fewest characters of a passphrase. The server takes ten guesses, so this keeps out what anybody would guess first. */
export const PASSPHRASE_CHARACTERS = 8;

/** What an authenticator makes of a text (WebAuthn's PRF extension), in bytes. */
export const PASSKEY_BYTES = 32;
