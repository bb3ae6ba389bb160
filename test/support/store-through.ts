// A store whose writes go through somebody else first.

import type { Store, Write } from "../../client/engine/store.ts";

/** `store` itself in everything but writing, which is up to `write`. */
export function storeThrough(store: Store, write: (writes: readonly Write[]) => Promise<void>): Store {
  return {
    get: (table, key) => store.get(table, key),
    scan: (table, range) => store.scan(table, range),
    write,
    close: () => store.close(),
    destroy: () => store.destroy(),
  };
}
