// Bundles one module of the tests for the browser and serves it, alone on a page of its own origin, to a real Chromium.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "vite";

export interface ServedPage {
  readonly url: string;
  stop(): Promise<void>;
}

async function bundle(module: string): Promise<string> {
  const entry = join(import.meta.dirname, module);
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, target: "es2024", lib: { entry, formats: ["es"], fileName: "page" } },
  });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !("output" in output)) throw new Error("nothing was built");
  return output.output[0].code;
}

/** Serves `module`, a file of this folder, on a free port of the loopback. */
export async function servePage(module: string): Promise<ServedPage> {
  const code = await bundle(module);
  const server = createServer(({ url }, response) => {
    const script = url === "/page.js";
    response.writeHead(200, { "content-type": script ? "text/javascript" : "text/html", "cache-control": "no-store" });
    response.end(script ? code : '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
