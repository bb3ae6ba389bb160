// The one suite every store must pass, free of any test runner so that it also runs inside a browser page. Knows no database.

import type { Entry, Range, Store, Table, Write } from "../../client/engine/store.ts";

/** Opens the named profile; the same name again is the same profile. */
export type OpenStore = (name: string) => Promise<Store>;

export interface ContractCase {
  readonly title: string;
  readonly run: (open: OpenStore, name: string) => Promise<void>;
}

const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);
const put = (table: Table, key: string, value: string): Write => ({ table, key, value: text(value) });
const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (part instanceof Uint8Array ? `bytes ${[...part].join(" ")}` : part)) ??
  "undefined";

function same(actual: unknown, expected: unknown): void {
  if (show(actual) !== show(expected))
    throw new Error(`expected ${show(expected)}, got ${show(actual)}`.slice(0, 2000));
}

async function refused(code: string, action: Promise<unknown>): Promise<void> {
  const outcome = await action.then(
    () => "no refusal",
    (error: { code?: string; detail?: { where?: string } }) => [error.code, error.detail?.where],
  );
  same(outcome, [code, "store"]);
}

async function fails(action: () => Promise<unknown>): Promise<void> {
  const error = await action().catch((thrown: unknown) => thrown);
  if (!(error instanceof TypeError)) throw new Error(`expected a TypeError, got ${String(error)}`);
}

const keysOf = (entries: readonly Entry[]): string[] => entries.map(({ key }) => key);

/** A small seeded generator (mulberry32), so that a failing run can be had again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What a scan must answer, said the slow way. */
function expectedScan(rows: ReadonlyMap<string, string>, range: Range): string[] {
  const { prefix = "", after, before, limit, reverse } = range;
  const found = [...rows.keys()]
    .filter(
      (key) => key.startsWith(prefix) && (after === undefined || key > after) && (before === undefined || key < before),
    )
    .sort((a, b) => (a < b ? -1 : 1));
  if (reverse) found.reverse();
  return found.slice(0, limit).map((key) => `${key}=${rows.get(key)}`);
}

async function model(open: OpenStore, name: string, seed: number): Promise<void> {
  const next = random(seed);
  const key = (): string => Array.from({ length: 1 + next(3) }, () => "!a~/0"[next(5)]).join("");
  const tables = { groups: new Map<string, string>(), messages: new Map<string, string>() };
  const names = ["groups", "messages"] as const;
  let store = await open(name);
  for (let step = 0; step < 120; step++) {
    const writes: Write[] = [];
    for (let count = next(5); count > 0; count--) {
      const table = names[next(2)] ?? "groups";
      const at = key();
      if (next(3) === 0) {
        tables[table].delete(at);
        writes.push({ table, key: at, value: null });
      } else {
        tables[table].set(at, `${step} ${count}`);
        writes.push(put(table, at, `${step} ${count}`));
      }
    }
    await store.write(writes);
    if (next(30) === 0) {
      await store.close();
      store = await open(name);
    }
    for (const table of names) {
      const range: Range = {
        ...(next(2) === 0 && { prefix: key() }),
        ...(next(2) === 0 && { after: key() }),
        ...(next(2) === 0 && { before: key() }),
        ...(next(2) === 0 && { limit: next(4) }),
        ...(next(2) === 0 && { reverse: true }),
      };
      const found = await store.scan(table, range);
      const lines = found.map((entry) => `${entry.key}=${new TextDecoder().decode(entry.value)}`);
      const wanted = expectedScan(tables[table], range);
      if (show(lines) !== show(wanted))
        throw new Error(`seed ${seed} step ${step} ${show(range)}: ${show([lines, wanted])}`);
    }
  }
  await store.close();
}

export const STORE_CONTRACT: readonly ContractCase[] = [
  {
    title: "S1: what was written is read back byte for byte, and what was not is undefined",
    run: async (open, name) => {
      const store = await open(name);
      const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      await store.write([
        { table: "groups", key: "every", value: every },
        { table: "groups", key: "none", value: new Uint8Array() },
        { table: "groups", key: "large", value: new Uint8Array(1 << 20).fill(7) },
      ]);
      same(await store.get("groups", "every"), every);
      same(await store.get("groups", "none"), new Uint8Array());
      same(
        (await store.get("groups", "large"))?.every((byte) => byte === 7),
        true,
      );
      same(await store.get("groups", "absent"), undefined);
      same(await store.get("people", "every"), undefined);
      await store.close();
    },
  },
  {
    title: "S1: keys are ordered by code unit",
    run: async (open, name) => {
      const store = await open(name);
      const keys = ["b", "a", "aa", "A", "~", "!", "a-", "0000000000000010", "0000000000000009"];
      await store.write(keys.map((key) => put("messages", key, key)));
      const sorted = keys.toSorted((one, other) => (one < other ? -1 : 1));
      same(keysOf(await store.scan("messages")), sorted);
      same(keysOf(await store.scan("messages", { reverse: true })), sorted.toReversed());
      await store.close();
    },
  },
  ...[1, 2, 3].map((seed) => ({
    title: `S1: any series of writes, reopenings and ranges answers like a sorted map (seed ${seed})`,
    run: (open: OpenStore, name: string) => model(open, name, seed),
  })),
  {
    title: "S1: a page can be read onward and backward from its edge",
    run: async (open, name) => {
      const store = await open(name);
      const keys = Array.from({ length: 25 }, (_, n) => `c/${String(n).padStart(4, "0")}`);
      await store.write([...keys, "b/9999", "d/0000"].map((key) => put("messages", key, key)));
      const onward: string[] = [];
      for (let page: Entry[] = [{ key: "c/", value: text("") }]; page.length > 0; ) {
        page = await store.scan("messages", { prefix: "c/", after: page.at(-1)?.key ?? "", limit: 10 });
        onward.push(...keysOf(page));
      }
      same(onward, keys);
      same(keysOf(await store.scan("messages", { prefix: "c/", before: "c/0005", limit: 2, reverse: true })), [
        "c/0004",
        "c/0003",
      ]);
      await store.close();
    },
  },
  {
    title: "S2: a write spans tables, its later changes win over its earlier ones, and deleting the absent is fine",
    run: async (open, name) => {
      const store = await open(name);
      await store.write([put("meta", "k", "old"), put("people", "gone", "x")]);
      await store.write([
        put("meta", "k", "first"),
        { table: "people", key: "gone", value: null },
        { table: "people", key: "never", value: null },
        put("meta", "k", "last"),
        put("quarantine", "q", "1"),
      ]);
      same(await store.get("meta", "k"), text("last"));
      same(await store.scan("people"), []);
      same(await store.get("quarantine", "q"), text("1"));
      await store.write([]);
      await store.close();
    },
  },
  {
    title: "S2: a write with one impossible key writes nothing at all",
    run: async (open, name) => {
      const store = await open(name);
      for (const key of ["", "ä", "a b", "x\n", "\ud800", "k".repeat(513)]) {
        await fails(() => store.write([put("meta", "good", "1"), put("meta", key, "1")]));
        await fails(() => store.get("meta", key));
      }
      same(await store.scan("meta"), []);
      await store.close();
    },
  },
  {
    title: "S2: writes apply in the order of the calls, and no scan sees half of one",
    run: async (open, name) => {
      const store = await open(name);
      const writes = Array.from({ length: 60 }, (_, n) =>
        store.write([
          put("messages", "a", String(n)),
          put("intents", String(n).padStart(3, "0"), ""),
          put("messages", "b", String(n)),
        ]),
      );
      const scans = Array.from({ length: 60 }, () => store.scan("messages"));
      for (const found of await Promise.all(scans)) same(found[0]?.value, found[1]?.value);
      await Promise.all(writes);
      same(await store.get("messages", "a"), text("59"));
      same((await store.scan("intents")).length, 60);
      await store.close();
    },
  },
  {
    title: "S2: values are copies: neither the writer's later changes nor a reader's reach the store",
    run: async (open, name) => {
      const store = await open(name);
      const buffer = Uint8Array.of(9, 1, 2, 3, 9);
      const written = store.write([{ table: "groups", key: "view", value: buffer.subarray(1, 4) }]);
      buffer.fill(0);
      await written;
      const read = await store.get("groups", "view");
      same(read, Uint8Array.of(1, 2, 3));
      same(read?.buffer.byteLength, 3);
      read?.fill(0);
      same(await store.get("groups", "view"), Uint8Array.of(1, 2, 3));
      await store.close();
    },
  },
  {
    title: "S3: closing waits for the writes under way, and opening again finds them",
    run: async (open, name) => {
      const store = await open(name);
      const writes = Array.from({ length: 20 }, (_, n) =>
        store.write([put("intents", `i${String(n).padStart(2, "0")}`, "x")]),
      );
      await store.close();
      await Promise.all(writes);
      const again = await open(name);
      same((await again.scan("intents")).length, 20);
      await again.close();
    },
  },
  {
    title: "S3: a closed store refuses everything and closes again without complaint",
    run: async (open, name) => {
      const store = await open(name);
      await store.write([put("meta", "k", "v")]);
      await store.close();
      await store.close();
      await refused("unavailable", store.get("meta", "k"));
      await refused("unavailable", store.scan("meta"));
      await refused("unavailable", store.write([put("meta", "k", "w")]));
      const again = await open(name);
      same(await again.get("meta", "k"), text("v"));
      await again.close();
    },
  },
  {
    title: "S3: a destroyed store leaves nothing behind",
    run: async (open, name) => {
      const store = await open(name);
      await store.write([put("messages", "k", "v")]);
      await store.destroy();
      await refused("unavailable", store.get("messages", "k"));
      const again = await open(name);
      same(await again.scan("messages"), []);
      await again.destroy();
    },
  },
];
