// Owns a store whose values are sealed: what reaches the database below holds no content. Keys of rows stay as they are, since they hold ids,
// numbers and times only. Knows no database and not where its key comes from.

import { utf8 } from "../../schemas/bytes.ts";
import { sealAt, unsealAt } from "./seal/cipher.ts";
import { type Entry, type Range, type Store, storeRefusal, type Table, type Write } from "./store.ts";

/** The same store with every value sealed under `key`, bound to its table and its row's key. */
export function sealStore(store: Store, key: CryptoKey): Store {
  return new SealedStore(store, key);
}

class SealedStore implements Store {
  readonly #store: Store;
  readonly #key: CryptoKey;
  /** Settles when every write called so far is with the store below, which keeps the order from there. */
  #handed: Promise<void> = Promise.resolve();

  constructor(store: Store, key: CryptoKey) {
    this.#store = store;
    this.#key = key;
  }

  async get(table: Table, key: string): Promise<Entry["value"] | undefined> {
    await this.#handed;
    const sealed = await this.#store.get(table, key);
    return sealed && this.#unseal(table, key, sealed);
  }

  async scan(table: Table, range?: Range): Promise<Entry[]> {
    await this.#handed;
    const found = await this.#store.scan(table, range);
    return Promise.all(found.map(async ({ key, value }) => ({ key, value: await this.#unseal(table, key, value) })));
  }

  async write(writes: readonly Write[]): Promise<void> {
    const sealing = Promise.all(writes.map((write) => this.#seal(write)));
    const earlier = this.#handed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#handed = promise;
    let durable: Promise<void>;
    try {
      const sealed = await sealing;
      await earlier;
      durable = this.#store.write(sealed);
    } finally {
      resolve();
    }
    await durable;
  }

  async close(): Promise<void> {
    await this.#handed;
    await this.#store.close();
  }

  async destroy(): Promise<void> {
    await this.#handed;
    await this.#store.destroy();
  }

  async #seal({ table, key, value }: Write): Promise<Write> {
    return { table, key, value: value && (await sealAt(this.#key, placeOf(table, key), value)) };
  }

  async #unseal(table: Table, key: string, sealed: Uint8Array): Promise<Entry["value"]> {
    const value = await unsealAt(this.#key, placeOf(table, key), sealed);
    if (value === undefined) throw storeRefusal("unavailable", "damaged");
    return value;
  }
}

/** Neither a table nor a row's key holds a space. */
function placeOf(table: Table, key: string): Uint8Array<ArrayBuffer> {
  return utf8(`${table} ${key}`);
}
