// Owns the shape of what stands in clear beside a sealed store: enough to ask the server for its share, and nothing that opens anything without it.

type Bytes = Uint8Array<ArrayBuffer>;

/** What an app lock needs to know: what opens it, and after how many minutes without a touch it shuts. */
export type LockHeader = (PassphraseHeader | PasskeyHeader) & { readonly minutes: number };

/** Salt and price of the passphrase (scrypt's N). */
export interface PassphraseHeader {
  readonly salt: Bytes;
  readonly cost: number;
}

/** Which passkey opens it, and the salt of the text that its authenticator makes the secret of. */
export interface PasskeyHeader {
  readonly salt: Bytes;
  readonly credential: string;
}

/** The passkey that a lock asks for; null when that is a passphrase. */
export function passkeyOf(lock: LockHeader): PasskeyHeader | null {
  return "credential" in lock ? { credential: lock.credential, salt: lock.salt } : null;
}

/** One way to the store's key. `local`: this browser's part and the secret that asks for the server's, under the platform's key; `key`: the store's. */
export interface Way {
  readonly local: Bytes;
  readonly key: Bytes;
  readonly lock: LockHeader | null;
}

/**
 * The clear part of a sealed profile. There is one way in, or two while a change is under way: the new one first, which the server may or may
 * not have heard of.
 */
export interface SealHeader {
  readonly v: 1;
  /** The server was heard to have let this profile's device in. */
  readonly accepted: boolean;
  /** Never leaves this browser: the platform gives its bytes to nobody, also not to us. */
  readonly platformKey: CryptoKey;
  readonly ways: readonly Way[];
}

/** Where a profile keeps its header. */
export interface HeaderPlace {
  /** `undefined` in a profile nobody has begun. */
  header(): Promise<SealHeader | undefined>;
  /** Resolves once it is durable. @throws {Refusal} as a store's write */
  setHeader(header: SealHeader): Promise<void>;
}
