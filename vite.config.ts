// Builds the browser bundle. It must hold under the Content-Security-Policy the Worker sends: nothing inline, no eval, and
//   script-src 'self'; style-src 'self'; worker-src 'self'; require-trusted-types-for 'script'; trusted-types kuvert
// `kuvert` passes the address of the engine's worker and nothing else, see client/ui/launch.ts.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import solid from "vite-plugin-solid";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: path("client/ui"),
  base: "/",
  cacheDir: path("node_modules/.vite"),
  // Templates become calls of our own renderer, not HTML text: no sink, so no Trusted Types policy for one.
  plugins: [solid({ solid: { generate: "universal", moduleName: path("client/ui/dom.ts") } })],
  worker: {
    format: "es",
    // What the engine needs at once is one file: each further one would be asked for only when the worker runs
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: "worker", test: /client\/ui\/worker\.ts$/ }] } },
    },
  },
  build: {
    outDir: path("dist/ui"),
    emptyOutDir: true,
    target: "es2024",
    assetsDir: "assets",
    // An inlined asset becomes a `data:` address, which the policy does not allow.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
