// Runs the store contract against real SQLite files, and what only files and processes can show: crashes, modes, the profile lock.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import type { Store, Write } from "../../client/engine/store.ts";
import { STORE_CONTRACT } from "../support/store-contract.ts";

const root = mkdtempSync(join(tmpdir(), "kuvert-store-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
const folder = (): string => join(root, String(folders++));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("contract", () => {
  test.for(STORE_CONTRACT)("$title", async ({ run }) =>
    run((name) => openSqliteStore(join(root, name)), `c${folders++}`),
  );
});

/** Another process that opens `path` and writes pairs of rows for as long as it lives, one line per confirmed write. */
async function startWriter(path: string): Promise<{ child: ChildProcess; lines: AsyncIterator<string> }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("../support/store-writer.ts", import.meta.url)), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("open");
  return { child, lines };
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

describe("crashes", () => {
  test("S4: a process killed with -9 in mid-write loses nothing it confirmed and leaves nothing half-written", {
    timeout: 60_000,
  }, async () => {
    const path = folder();
    let confirmed = -1;
    for (let round = 0; round < 6; round++) {
      const { child, lines } = await startWriter(path);
      for (let count = 0; count < 5 + round * 8; count++) confirmed = Number((await lines.next()).value);
      await killed(child);
      // What it still had written to the pipe was confirmed too.
      for (let line = await lines.next(); !line.done; line = await lines.next()) confirmed = Number(line.value);
      const store = await openSqliteStore(path);
      const messages = (await store.scan("messages")).map(({ key }) => Number(key));
      expect(messages).toEqual(Array.from({ length: messages.length }, (_, n) => n));
      expect(messages.length).toBeGreaterThan(confirmed);
      expect((await store.scan("intents")).map(({ key }) => Number(key))).toEqual(messages.slice(-10));
      const last = await store.get("meta", "last");
      expect(Number(new TextDecoder().decode(last))).toBe(messages.length - 1);
      await store.close();
    }
    expect(confirmed).toBeGreaterThan(100);
  });

  test("S5: a second opener is refused, in this process and in another, until the first closes or is killed", async () => {
    const path = folder();
    const mine = await openSqliteStore(path);
    await expect(openSqliteStore(path)).rejects.toMatchObject({ code: "conflict", detail: { reason: "in_use" } });
    await mine.close();
    const { child, lines } = await startWriter(path);
    await lines.next();
    await expect(openSqliteStore(path)).rejects.toMatchObject({
      code: "conflict",
      detail: { where: "store", reason: "in_use" },
    });
    await killed(child);
    const again = await openSqliteStore(path);
    expect(await again.get("meta", "last")).toBeDefined();
    await again.close();
  });
});

async function fill(store: Store, size: number): Promise<number> {
  for (let count = 0; ; count++) {
    const key = String(count).padStart(6, "0");
    const pair: Write[] = [
      { table: "messages", key, value: new Uint8Array(size).fill(count) },
      { table: "groups", key, value: new Uint8Array(size).fill(count) },
    ];
    const error = await store.write(pair).catch((thrown: unknown) => thrown);
    if (error === undefined) continue;
    expect(error).toMatchObject({ code: "quota", detail: { where: "store" } });
    return count;
  }
}

describe("files", () => {
  test("S6: a full profile refuses with quota, has nothing half-written, and takes writes again once there is room", async () => {
    const path = folder();
    const store = await openSqliteStore(path, { maxBytes: 400_000 });
    const count = await fill(store, 9_000);
    expect(count).toBeGreaterThan(5);
    expect((await store.scan("messages")).length).toBe(count);
    expect((await store.scan("groups")).length).toBe(count);
    await store.write([
      { table: "messages", key: "000000", value: null },
      { table: "groups", key: "000000", value: null },
    ]);
    await store.write([{ table: "people", key: "p", value: new Uint8Array(9_000) }]);
    await store.close();
    const again = await openSqliteStore(path);
    expect((await again.scan("groups")).length).toBe(count - 1);
    await again.close();
  });

  test("S7: the folder is for its owner only, and so is every file in it", async () => {
    const path = join(folder(), "deep", "profile");
    const store = await openSqliteStore(path);
    await store.write([{ table: "meta", key: "k", value: text("v") }]);
    expect(modeOf(path)).toBe("700");
    const files = readdirSync(path);
    expect(files).toContain("profile.sqlite-wal");
    expect(files.map((file) => modeOf(join(path, file)))).toEqual(files.map(() => "600"));
    await store.close();
  });

  test("S8: what was deleted or overwritten is in no file any more", async () => {
    const path = folder();
    const store = await openSqliteStore(path);
    const stands = (secret: string): boolean =>
      readdirSync(path).some((file) => readFileSync(join(path, file)).includes(secret));
    const secrets = Array.from({ length: 40 }, (_, n) => `secret-${n}-`);
    for (const secret of secrets) {
      await store.write([{ table: "messages", key: secret, value: text(secret.repeat(300)) }]);
      await store.write([{ table: "groups", key: "state", value: text(`state of ${secret}`) }]);
    }
    expect(secrets.every((secret) => stands(secret))).toBe(true);
    expect(stands("state of secret-3-")).toBe(true);
    await store.write(secrets.slice(1).map((key) => ({ table: "messages", key, value: null })));
    expect(stands("secret-0-")).toBe(true);
    expect(stands("secret-3-")).toBe(false);
    expect(stands("secret-38-")).toBe(false);
    await store.close();
  });

  test("S9: a file that is no database, and one of a newer build, are refused and left as they are", async () => {
    const damaged = folder();
    const newer = folder();
    for (const path of [damaged, newer]) await (await openSqliteStore(path)).close();
    writeFileSync(join(damaged, "profile.sqlite"), "no database at all, but long enough to be looked at. ".repeat(200));
    await expect(openSqliteStore(damaged)).rejects.toMatchObject({
      code: "unavailable",
      detail: { reason: "damaged" },
    });
    const database = new DatabaseSync(join(newer, "profile.sqlite"));
    database.exec("PRAGMA user_version = 2");
    database.close();
    await expect(openSqliteStore(newer)).rejects.toMatchObject({
      code: "version_unsupported",
      detail: { where: "store" },
    });
    expect(readFileSync(join(damaged, "profile.sqlite"), "utf8")).toMatch(/^no database/);
  });

  test("S9: a folder that cannot be made is refused with the system's reason", async () => {
    const path = folder();
    writeFileSync(path, "a file");
    await expect(openSqliteStore(join(path, "profile"))).rejects.toMatchObject({
      code: "unavailable",
      detail: { reason: "ENOTDIR" },
    });
  });

  test("S3: a destroyed profile takes its folder along, but not what the user keeps there", async () => {
    const [empty, used] = [folder(), folder()];
    await (await openSqliteStore(empty)).destroy();
    expect(existsSync(empty)).toBe(false);
    const store = await openSqliteStore(used);
    writeFileSync(join(used, "notes.txt"), "mine");
    await store.destroy();
    expect(readdirSync(used)).toEqual(["notes.txt"]);
  });
});
