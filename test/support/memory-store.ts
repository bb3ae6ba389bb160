// A store that forgets: the contract of client/engine/store.ts in memory, for tests of what is kept and not of keeping it.

import { boundsOf, type Entry, type Range, type Store, type Table, type Write } from "../../client/engine/store.ts";

/** An empty store. */
export function memoryStore(): Store {
  const tables = new Map<Table, Map<string, Uint8Array<ArrayBuffer>>>();
  const rows = (table: Table) => {
    const known = tables.get(table) ?? new Map<string, Uint8Array<ArrayBuffer>>();
    tables.set(table, known);
    return known;
  };
  return {
    get: async (table, key) => rows(table).get(key),
    scan: async (table, range: Range = {}) => {
      const bounds = boundsOf(range);
      if (bounds === null) return [];
      const { from, to } = bounds;
      const found: Entry[] = [...rows(table)]
        .filter(([key]) => key >= from && key < to)
        .map(([key, value]) => ({ key, value }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      if (range.reverse === true) found.reverse();
      return found.slice(0, range.limit);
    },
    write: async (writes: readonly Write[]) => {
      for (const { table, key, value } of writes) {
        if (value === null) rows(table).delete(key);
        else rows(table).set(key, value.slice());
      }
    },
    close: async () => undefined,
    destroy: async () => tables.clear(),
  };
}
