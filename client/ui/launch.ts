// Owns the start of the engine's worker. The worker's address is the only thing Trusted Types may pass. Imported before the views: the first
// worker starts while they are still being evaluated.

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

const url = trustedWorkerUrl();

/** Starts a worker with an engine of its own. */
export function launch(): Worker {
  return new Worker(url, { type: "module", name: "kuvert-engine" });
}

/** The worker this page begins with. Whoever listens to it must do so before the page's first turn ends. */
export const first = launch();
