// Owns which rows have changed since the last run of a backup: every write of a portable row leaves their names in the same write. Knows
// neither what rows mean nor how they are kept.

import { decodeCbor, encodeCbor } from "../../../schemas/cbor.ts";
import type { VaultId } from "../../../schemas/ids.ts";
import { sortable } from "../records.ts";
import type { Store, Table, Write } from "../store.ts";
import { rowKey } from "./portable.ts";

const PREFIX = "changed/";
/** The backup whose last run has seen everything that is not named; absent when none has. */
const SEEN = { table: "meta", key: "changed-since" } as const;
/** So many writes are remembered at most: after more it is cheaper to look at everything. */
const MOST = 20_000;

/** What there is to look at: the rows that have changed, or null for all there are. */
export interface Look {
  readonly names: ReadonlySet<string> | null;
  /** What remembers them, to be forgotten once they are kept. */
  readonly keys: readonly string[];
}

/** Rows that have changed. All writes of a profile must go through {@link store}. */
export class ChangedRows {
  /** The store that was given, remembering. */
  readonly store: Store;
  readonly #store: Store;
  readonly #tables: ReadonlySet<Table>;
  #isOn: boolean;
  #count: number;
  #next: number;

  private constructor(store: Store, parts: { tables: readonly Table[]; isOn: boolean; keys: readonly string[] }) {
    this.#store = store;
    this.#tables = new Set(parts.tables);
    this.#isOn = parts.isOn;
    this.#count = parts.keys.length;
    this.#next = Number(parts.keys.at(-1)?.slice(PREFIX.length) ?? 0) + 1;
    this.store = {
      get: (table, key) => store.get(table, key),
      scan: (table, range) => store.scan(table, range),
      write: (writes) => store.write(this.#noted(writes)),
      close: () => store.close(),
      destroy: () => store.destroy(),
    };
  }

  /** Goes on remembering the rows of these tables if an earlier run of the engine did. */
  static async open(store: Store, tables: readonly Table[]): Promise<ChangedRows> {
    const [seen, rows] = await Promise.all([store.get(SEEN.table, SEEN.key), store.scan("meta", { prefix: PREFIX })]);
    return new ChangedRows(store, { tables, isOn: seen !== undefined, keys: rows.map(({ key }) => key) });
  }

  /** What has changed since the backup `id` was last {@link settle}d. From now on everything that does is remembered. */
  async look(id: VaultId): Promise<Look> {
    this.#isOn = true;
    const seen = await this.#store.get(SEEN.table, SEEN.key);
    const rows = await this.#store.scan("meta", { prefix: PREFIX });
    const keys = rows.map(({ key }) => key);
    if (seen === undefined || decodeCbor(seen) !== id) return { names: null, keys };
    return { names: new Set(rows.flatMap(({ value }) => decodeCbor(value) as string[])), keys };
  }

  /** The backup `id` holds everything as it was at that look. */
  async settle(id: VaultId, { keys }: Look): Promise<void> {
    // More was written meanwhile than is remembered
    if (!this.#isOn) return;
    this.#count -= keys.length;
    const gone = keys.map((key) => ({ table: "meta" as const, key, value: null }));
    await this.#store.write([...gone, { ...SEEN, value: encodeCbor(id) }]);
  }

  #noted(writes: readonly Write[]): readonly Write[] {
    if (!this.#isOn) return writes;
    const names = writes.filter(({ table }) => this.#tables.has(table)).map(({ table, key }) => rowKey(table, key));
    if (names.length === 0) return writes;
    if (this.#count >= MOST) {
      this.#isOn = false;
      return [...writes, { ...SEEN, value: null }];
    }
    this.#count += 1;
    const key = PREFIX + sortable(this.#next++);
    return [...writes, { table: "meta", key, value: encodeCbor(names) }];
  }
}
