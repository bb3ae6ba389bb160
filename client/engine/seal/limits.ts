// Owns what a passphrase of the app lock must be.

/** The fewest characters of a passphrase. The server takes ten guesses, so this keeps out what anybody would guess first. */
export const PASSPHRASE_CHARACTERS = 8;
