// What the page of the store tests offers them: the contract suite over real IndexedDB, and a store to drive from outside.

import { newSealingKey } from "../../../client/engine/seal/cipher.ts";
import { sealStore } from "../../../client/engine/sealed-store.ts";
import type { Store, Write } from "../../../client/engine/store.ts";
import { openIndexedDbStore } from "../../../client/engine/store-indexeddb.ts";
import { STORE_CONTRACT } from "../../support/store-contract.ts";

type Outcome = "done" | { readonly code: string; readonly where: unknown; readonly reason: unknown };

async function outcomeOf(action: Promise<unknown>): Promise<Outcome> {
  try {
    await action;
    return "done";
  } catch (error) {
    if (!(error instanceof Error && "code" in error && "detail" in error)) throw error;
    const { where, reason } = error.detail as { where?: unknown; reason?: unknown };
    return { code: String(error.code), where, reason };
  }
}

const stores = new Map<string, Store>();
const storeOf = (label: string): Store => {
  const store = stores.get(label);
  if (store === undefined) throw new Error(`no store ${label}`);
  return store;
};
const keyOf = (n: number): string => String(n).padStart(8, "0");
const pair = (n: number, size: number): Write[] => [
  { table: "messages", key: keyOf(n), value: crypto.getRandomValues(new Uint8Array(size)) },
  { table: "groups", key: keyOf(n), value: crypto.getRandomValues(new Uint8Array(size)) },
];

const page = {
  /** Runs one case of the contract, over sealed values or as they are; what went wrong, or "". */
  runCase: async (index: number, isSealed: boolean): Promise<string> => {
    const found = STORE_CONTRACT[index];
    if (found === undefined) return "no such case";
    const key = await newSealingKey();
    const openSealed = async (name: string) => sealStore(await openIndexedDbStore(name), key);
    try {
      await found.run(isSealed ? openSealed : openIndexedDbStore, `case-${index}-${crypto.randomUUID()}`);
      return "";
    } catch (error) {
      return String(error);
    }
  },
  open: (label: string, name: string): Promise<Outcome> =>
    outcomeOf(openIndexedDbStore(name).then((store) => stores.set(label, store))),
  close: (label: string): Promise<void> => storeOf(label).close(),
  put: (label: string, key: string): Promise<Outcome> =>
    outcomeOf(storeOf(label).write([{ table: "meta", key, value: new Uint8Array(1) }])),
  remove: (label: string, n: number): Promise<Outcome> =>
    outcomeOf(
      storeOf(label).write([
        { table: "messages", key: keyOf(n), value: null },
        { table: "groups", key: keyOf(n), value: null },
      ]),
    ),
  keys: async (label: string, table: "meta" | "messages" | "groups"): Promise<string[]> =>
    (await storeOf(label).scan(table)).map(({ key }) => key),
  /** Writes pairs until one is refused; how many went in, and the refusal. */
  fill: async (label: string, size: number, most: number): Promise<{ count: number; outcome: Outcome }> => {
    for (let count = 0; count < most; count++) {
      const outcome = await outcomeOf(storeOf(label).write(pair(count, size)));
      if (outcome !== "done") return { count, outcome };
    }
    return { count: most, outcome: "done" };
  },
  /** Writes pairs from `start` on for as long as the page lives, and says which were confirmed. */
  writeForever: async (label: string, start: number, confirmed: (n: number) => void): Promise<void> => {
    for (let n = start; ; n++) {
      await storeOf(label).write(pair(n, 3_000));
      confirmed(n);
    }
  },
  /** Makes the database look as if a newer build had written it. */
  upgrade: (name: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 99);
      request.onsuccess = () => {
        request.result.close();
        resolve();
      };
      request.onerror = () => reject(request.error);
    }),
};

export type StorePage = typeof page;
Object.assign(globalThis, { page });
