// Builds the gallery once and serves it like the Worker serves the client: any path is the page.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "vite";
import solid from "vite-plugin-solid";
import type { ServedPage } from "./page.ts";

const TYPES: Readonly<Record<string, string>> = { css: "text/css", html: "text/html", js: "text/javascript" };

async function bundle(): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const moduleName = join(import.meta.dirname, "../../../client/ui/dom.ts");
  const built = await build({
    configFile: false,
    logLevel: "error",
    root: join(import.meta.dirname, "../gallery"),
    plugins: [solid({ solid: { generate: "universal", moduleName } })],
    build: { write: false, target: "es2024", cssCodeSplit: false, modulePreload: { polyfill: false } },
  });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !("output" in output)) throw new Error("nothing was built");
  return new Map(
    output.output.map((file) => [`/${file.fileName}`, file.type === "chunk" ? file.code : file.source] as const),
  );
}

/** Serves the gallery on a free port of the loopback. */
export async function serveGallery(): Promise<ServedPage> {
  const files = await bundle();
  const server = createServer(({ url = "/" }, response) => {
    const { pathname } = new URL(url, "http://gallery");
    const path = files.has(pathname) ? pathname : "/index.html";
    response.writeHead(200, { "content-type": TYPES[path.split(".").at(-1) ?? ""] ?? "text/plain" });
    response.end(files.get(path));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
