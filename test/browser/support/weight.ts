// Owns which of the built files a browser must load before it can show anything, and what they weigh.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = join(import.meta.dirname, "../../../dist/ui");

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

/** What index.html loads before anything lazy, and how many bytes that is, each file gzipped by itself. */
export function eagerWeight(): { readonly files: readonly string[]; readonly bytes: number } {
  const files = [...needed("index.html")];
  return { files, bytes: files.reduce((sum, file) => sum + gzipSync(readFileSync(join(DIST, file))).length, 0) };
}
