// Serves what Vite has built for a test, from memory and from an origin of its own. It knows no test.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build, type InlineConfig } from "vite";

const TYPES: Readonly<Record<string, string>> = { css: "text/css", html: "text/html", js: "text/javascript" };

/** Files by the path they are served at. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

export interface ServedPage {
  readonly url: string;
  stop(): Promise<void>;
}

/** Builds, and writes nothing to disk. */
export async function bundle(config: InlineConfig): Promise<Files> {
  const quietly = { configFile: false, logLevel: "error", ...config } as const;
  const built = await build({ ...quietly, build: { write: false, target: "es2024", ...config.build } });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !("output" in output)) throw new Error("nothing was built");
  return new Map(
    output.output.map((file) => [`/${file.fileName}`, file.type === "chunk" ? file.code : file.source] as const),
  );
}

/** Serves files on a free port of the loopback; any other path is /index.html, as the Worker has it. */
export async function serveFiles(files: Files): Promise<ServedPage> {
  const server = createServer(({ url = "/" }, response) => {
    const { pathname } = new URL(url, "http://built");
    const path = files.has(pathname) ? pathname : "/index.html";
    const type = TYPES[path.split(".").at(-1) ?? ""] ?? "text/plain";
    // Once compiled, a script is not compiled again for every screen of the same browser
    const caching = path === "/index.html" ? "no-store" : "max-age=3600";
    response.writeHead(200, { "content-type": type, "cache-control": caching });
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
