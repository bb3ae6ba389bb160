// Owns the shape of what stands in clear beside a sealed store: enough to ask the server for its share, and nothing that opens anything without it.

type Bytes = Uint8Array<ArrayBuffer>;

/** What an app lock needs to know: salt and price of the passphrase (scrypt's N), and after how many minutes without a touch it shuts. */
export interface LockHeader {
  readonly salt: Bytes;
  readonly cost: number;
  readonly minutes: number;
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
