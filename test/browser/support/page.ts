// Bundles one module of the tests for the browser and serves it, alone on a page of its own origin, to a real Chromium.

import { join } from "node:path";
import { bundle, type ServedPage, serveFiles } from "./built.ts";

const PAGE = '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>';

/** Serves `module`, a file of this folder, on a free port of the loopback. */
export async function servePage(module: string): Promise<ServedPage> {
  const entry = join(import.meta.dirname, module);
  const files = await bundle({ build: { lib: { entry, formats: ["es"], fileName: "page" } } });
  return serveFiles(new Map([...files, ["/index.html", PAGE]]));
}
