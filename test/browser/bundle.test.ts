// Weighs what a browser must load before it can show anything.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const DIST = join(import.meta.dirname, "../../dist/ui");

/** The files that a file names, and those that they import at once. Dynamic imports are lazy and do not count. */
function needed(name: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(name)) return found;
  found.add(name);
  const text = readFileSync(join(DIST, name), "utf8");
  const assets = readdirSync(join(DIST, "assets"));
  for (const asset of assets) {
    const eager = [`src="/assets/${asset}"`, `href="/assets/${asset}"`, `from"./${asset}"`, `import"./${asset}"`];
    // The worker's address is a text in the bundle of the page.
    const worker = asset.startsWith("worker-") && text.includes(`/assets/${asset}`);
    if (worker || eager.some((mention) => text.includes(mention))) needed(join("assets", asset), found);
  }
  return found;
}

test("U18: page, styles and engine weigh at most 150 KB gzipped, and the settings load later", () => {
  const files = [...needed("index.html")];
  const weight = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(DIST, file))).length, 0);
  expect(files.filter((file) => /worker-.*\.js$/.test(file))).toHaveLength(1);
  expect(files.filter((file) => file.endsWith(".css"))).toHaveLength(1);
  expect(files.filter((file) => file.includes("settings-"))).toEqual([]);
  expect(weight).toBeLessThan(150_000);
  expect(weight).toBeGreaterThan(50_000);
});
