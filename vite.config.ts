// Builds the browser bundle. It must hold under the Content-Security-Policy the Worker sends: nothing inline, no eval, and
//   script-src 'self'; style-src 'self'; worker-src 'self'; require-trusted-types-for 'script'; trusted-types kuvert solid
//
// `solid` turns the markup that the compiler wrote into templates (see below); nothing else can reach that policy.
// `kuvert` is the page's: a worker's address is a Trusted Types sink too, so the page starts the engine like this:
//   import engineUrl from "../engine/worker.ts?worker&url";
//   const policy = trustedTypes.createPolicy("kuvert", { createScriptURL: (url) => { if (url === engineUrl) return url; throw … } });
//   new Worker(policy.createScriptURL(engineUrl), { type: "module" });

import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import solid from "vite-plugin-solid";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Solid sets `innerHTML` at one place, with constants from its compiler; this gives that place, and no other, a policy. */
function trustedTemplates(): Plugin {
  const sink = "t.innerHTML = html;";
  const policy = `const trusted = globalThis.trustedTypes?.createPolicy("solid", { createHTML: (html) => html });`;
  return {
    name: "kuvert:trusted-templates",
    apply: "build",
    transform: {
      filter: { id: /\/solid-js\/web\/dist\/(web|dev)\.js$/ },
      handler: (code) => {
        const [before, after, ...more] = code.split(sink);
        if (after === undefined || more.length > 0) throw new Error("Solid's template() is not what it was");
        return {
          code: `${policy}\n${before}t.innerHTML = trusted ? trusted.createHTML(html) : html;${after}`,
          map: null,
        };
      },
    },
  };
}

export default defineConfig({
  root: path("client/ui"),
  base: "/",
  cacheDir: path("node_modules/.vite"),
  plugins: [solid(), trustedTemplates()],
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
    reportCompressedSize: false,
  },
});
