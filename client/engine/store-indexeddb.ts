// Keeps a store in the browser's IndexedDB. The only file that knows IndexedDB; it knows nothing of what the values mean.

import { randomBytes, toBase64url } from "../../schemas/bytes.ts";
import type { HeaderPlace, SealHeader } from "./seal/header.ts";
import {
  boundsOf,
  checkKey,
  type Entry,
  type Range,
  type Store,
  storeRefusal,
  TABLES,
  type Table,
  type Write,
} from "./store.ts";

const VERSION = 2;
/** Holds one value: who opened the database last. Only that one may write. */
const WRITER = "writer";
/** Holds one value: the clear part of what seals the profile. */
const SEAL = "seal";

/**
 * Opens the profile `name`, making it when it is new. From then on every earlier opener's writes are refused: a tab that was frozen
 * while another took over must not write old state over new.
 * @throws {Refusal} version_unsupported — a newer build has written it
 * @throws {Refusal} quota, unavailable — the browser gives no room or no database
 */
export async function openIndexedDbStore(name: string): Promise<Store & HeaderPlace> {
  const database = await openDatabase(name);
  const store = new IndexedDbStore(database, toBase64url(randomBytes(16)));
  await store.takeOver();
  return store;
}

class IndexedDbStore implements Store, HeaderPlace {
  readonly #database: IDBDatabase;
  readonly #writer: string;
  readonly #underWay = new Set<Promise<void>>();
  #closed = false;

  constructor(database: IDBDatabase, writer: string) {
    this.#database = database;
    this.#writer = writer;
    // Somebody deletes or upgrades the database, or the browser has taken it away.
    database.onversionchange = () => this.#letGo();
    database.onclose = () => this.#letGo();
  }

  /** Makes this opener the one that may write. */
  takeOver(): Promise<void> {
    return this.#change([WRITER], (transaction) => transaction.objectStore(WRITER).put(this.#writer, WRITER));
  }

  async get(table: Table, key: string): Promise<Entry["value"] | undefined> {
    const entry = await this.#read<Entry | undefined>(table, (rows) => rows.get(checkKey(key)));
    return entry?.value;
  }

  async scan(table: Table, range: Range = {}): Promise<Entry[]> {
    const bounds = boundsOf(range);
    if (bounds === null) return [];
    const keys = IDBKeyRange.bound(bounds.from, bounds.to, false, true);
    if (range.reverse !== true) return this.#read<Entry[]>(table, (rows) => rows.getAll(keys, range.limit));
    return (await this.#last(table, { ...bounds, limit: range.limit })).reverse();
  }

  /** The last entries of a span, in their order: one leap to the first of them, since a walk costs a journey to the database for every row. */
  async #last(table: Table, { from, to, limit }: { from: string; to: string; limit: number | undefined }) {
    const { promise, resolve } = Promise.withResolvers<Entry[]>();
    await this.#read(table, (rows) => {
      const read = (first: string): void => {
        const all = rows.getAll(IDBKeyRange.bound(first, to, false, true));
        all.onsuccess = () => resolve(all.result);
      };
      const leap = rows.openKeyCursor(IDBKeyRange.bound(from, to, false, true), "prev");
      let isThere = limit === undefined || limit === 1;
      leap.onsuccess = () => {
        const cursor = leap.result;
        if (cursor === null || limit === undefined) read(from);
        else if (isThere) read(String(cursor.key));
        else {
          isThere = true;
          cursor.advance(limit - 1);
        }
      };
      return leap;
    });
    return promise;
  }

  async write(writes: readonly Write[]): Promise<void> {
    for (const { key } of writes) checkKey(key);
    const tables = new Set(writes.map(({ table }) => table));
    await this.#change([WRITER, ...tables], (transaction) => {
      for (const { table, key, value } of writes) {
        const rows = transaction.objectStore(table);
        // A view is stored with all of the buffer it looks into, so store a copy of what it shows.
        if (value === null) rows.delete(key);
        else rows.put({ key, value: value.slice() });
      }
    });
  }

  header(): Promise<SealHeader | undefined> {
    return this.#read(SEAL, (values) => values.get(SEAL));
  }

  setHeader(header: SealHeader): Promise<void> {
    return this.#change([WRITER, SEAL], (transaction) => transaction.objectStore(SEAL).put(header, SEAL));
  }

  async close(): Promise<void> {
    this.#letGo();
    await Promise.allSettled(this.#underWay);
  }

  async destroy(): Promise<void> {
    await this.close();
    await settle(indexedDB.deleteDatabase(this.#database.name));
  }

  #letGo(): void {
    this.#closed = true;
    this.#database.close();
  }

  #begin(tables: readonly string[], mode: IDBTransactionMode): IDBTransaction {
    if (this.#closed) throw storeRefusal("unavailable", "closed");
    try {
      return this.#database.transaction(tables, mode, { durability: "strict" });
    } catch (error) {
      throw refusalOf(error);
    }
  }

  /** Resolves when the transaction is complete, which for a cursor is when its walk has ended. */
  async #read<Result>(table: Table | typeof SEAL, ask: (rows: IDBObjectStore) => IDBRequest): Promise<Result> {
    const transaction = this.#begin([table], "readonly");
    const request = ask(transaction.objectStore(table));
    await complete(transaction);
    return request.result as Result;
  }

  /** All changes span WRITER, so the browser runs them one after another, in the order of the calls. */
  async #change(tables: readonly string[], make: (transaction: IDBTransaction) => void): Promise<void> {
    const transaction = this.#begin(tables, "readwrite");
    let superseded = false;
    const finished = complete(transaction).catch((error: unknown) => {
      throw superseded ? storeRefusal("conflict", "in_use") : error;
    });
    this.#underWay.add(finished);
    try {
      make(transaction);
      const writer = transaction.objectStore(WRITER).get(WRITER);
      writer.onsuccess = () => {
        superseded = writer.result !== this.#writer;
        if (superseded) transaction.abort();
      };
    } catch (error) {
      transaction.abort();
      await Promise.allSettled([finished]);
      throw error;
    } finally {
      finished.finally(() => this.#underWay.delete(finished)).catch(() => undefined);
    }
    await finished;
  }
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = () => {
    const { result: database } = request;
    // Nothing was sealed in the first version, and nothing of it is kept
    for (const table of [...database.objectStoreNames]) database.deleteObjectStore(table);
    for (const table of TABLES) database.createObjectStore(table, { keyPath: "key" });
    for (const single of [WRITER, SEAL]) database.createObjectStore(single);
  };
  return settle(request);
}

function settle<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(refusalOf(request.error));
  });
}

function complete(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(refusalOf(transaction.error));
  });
}

function refusalOf(error: unknown): Error {
  const name = error instanceof DOMException ? error.name : "aborted";
  if (name === "QuotaExceededError") return storeRefusal("quota", "full");
  if (name === "VersionError") return storeRefusal("version_unsupported", "newer");
  return storeRefusal("unavailable", name === "InvalidStateError" ? "closed" : name);
}
