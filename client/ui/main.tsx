// Starts the client: the engine in its worker, the views in the page. The worker's address is the only thing Trusted Types may pass.

import "./styles/all.css";
import { App } from "./app.tsx";
import { render } from "./dom.ts";
import { createRemote } from "./remote.ts";
import type { FromPage } from "./wire.ts";
import workerUrl from "./worker.ts?worker&url";

/** Passes the one address and throws for any other. */
function trustedWorkerUrl(): string {
  const policy = globalThis.trustedTypes?.createPolicy("kuvert", {
    createScriptURL: (url) => {
      if (url !== workerUrl) throw new TypeError("not the engine's worker");
      return url;
    },
  });
  // The DOM library's Worker takes a string; the browser insists on the trusted object.
  return (policy?.createScriptURL(workerUrl) as unknown as string | undefined) ?? workerUrl;
}

const worker = new Worker(trustedWorkerUrl(), { type: "module", name: "kuvert-engine" });
for (const type of ["online", "offline"]) {
  addEventListener(type, () => worker.postMessage({ type: "network", online: navigator.onLine } satisfies FromPage));
}
const app = (): Node => (<App remote={createRemote(worker)} />) as Node;
render(app, document.body);
