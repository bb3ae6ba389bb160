// Runs the store contract over sealed values, and looks at what the database below is given.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { newSealingKey } from "../../client/engine/seal/cipher.ts";
import { sealStore } from "../../client/engine/sealed-store.ts";
import { utf8 } from "../../schemas/bytes.ts";
import { memoryStore } from "../support/memory-store.ts";
import { STORE_CONTRACT } from "../support/store-contract.ts";

const root = mkdtempSync(join(tmpdir(), "kuvert-sealed-"));
afterAll(() => rmSync(root, { recursive: true }));

let key: CryptoKey;
beforeAll(async () => {
  key = await newSealingKey();
});

describe("contract", () => {
  let folders = 0;
  test.for(STORE_CONTRACT)("$title", async ({ run }) =>
    run(async (name) => sealStore(await openSqliteStore(join(root, name)), key), `c${folders++}`),
  );
});

const row = { table: "messages", key: "c/1", value: utf8("Der Zugangscode ist 4471") } as const;

test("S10: the database below is given no value in clear, and the same value never twice alike", async () => {
  const below = memoryStore();
  const store = sealStore(below, key);
  await store.write([row, { ...row, key: "c/2" }]);
  const stored = await below.scan("messages");
  expect(stored.map((entry) => entry.key)).toEqual(["c/1", "c/2"]);
  const texts = stored.map(({ value }) => Buffer.from(value).toString("latin1"));
  for (const text of texts) expect(text).not.toContain("Zugangscode");
  expect(texts[0]).not.toBe(texts[1]);
  expect(await store.get("messages", "c/1")).toEqual(row.value);
});

test("S10: a value that was changed, moved to another row or table, or sealed under another key is refused", async () => {
  const below = memoryStore();
  const store = sealStore(below, key);
  await store.write([row]);
  const sealed = (await below.get("messages", "c/1")) ?? new Uint8Array();
  const changed = sealed.slice();
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  const damaged = { code: "unavailable", detail: { where: "store", reason: "damaged" } };
  await below.write([
    { table: "messages", key: "c/2", value: sealed },
    { table: "intents", key: "c/1", value: sealed },
    { table: "people", key: "c/1", value: changed },
    { table: "people", key: "short", value: new Uint8Array(3) },
  ]);
  await expect(store.get("messages", "c/2")).rejects.toMatchObject(damaged);
  await expect(store.get("intents", "c/1")).rejects.toMatchObject(damaged);
  await expect(store.get("people", "c/1")).rejects.toMatchObject(damaged);
  await expect(store.scan("people", { prefix: "short" })).rejects.toMatchObject(damaged);
  await expect(sealStore(below, await newSealingKey()).get("messages", "c/1")).rejects.toMatchObject(damaged);
  expect(await store.get("messages", "c/1")).toEqual(row.value);
});
