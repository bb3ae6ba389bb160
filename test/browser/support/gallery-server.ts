// Builds the gallery once and serves it like the Worker serves the client.

import { join } from "node:path";
import solid from "vite-plugin-solid";
import { bundle, type ServedPage, serveFiles } from "./built.ts";

/** Serves the gallery on a free port of the loopback. */
export async function serveGallery(): Promise<ServedPage> {
  const moduleName = join(import.meta.dirname, "../../../client/ui/dom.ts");
  const files = await bundle({
    root: join(import.meta.dirname, "../gallery"),
    plugins: [solid({ solid: { generate: "universal", moduleName } })],
    build: { cssCodeSplit: false, modulePreload: { polyfill: false } },
  });
  return serveFiles(files);
}
