// Builds the browser bundle. It must hold under the Content-Security-Policy the Worker sends: nothing inline, no eval, and
//   script-src 'self'; style-src 'self'; worker-src 'self'; require-trusted-types-for 'script'; trusted-types kuvert
// A worker's address is a Trusted Types sink. So the page makes one policy, named `kuvert`, whose `createScriptURL` passes the
// one address of the engine's worker and throws for any other, and starts it like this. Vite recognises the pattern
// `new URL("…", import.meta.url)` with `?worker&url` imports:
//   import engineUrl from "../engine/worker.ts?worker&url";
//   const policy = trustedTypes.createPolicy("kuvert", { createScriptURL: (url) => { if (url === engineUrl) return url; throw … } });
//   new Worker(policy.createScriptURL(engineUrl), { type: "module" });

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: path("client/ui"),
  base: "/",
  cacheDir: path("node_modules/.vite"),
  plugins: [solid()],
  worker: { format: "es" },
  build: {
    outDir: path("dist/ui"),
    emptyOutDir: true,
    target: "es2024",
    assetsDir: "assets",
    // An inlined asset becomes a `data:` address, which the policy does not allow.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
});
