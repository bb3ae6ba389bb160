// Starts the client: the engine in its worker, the views in the page. The worker's address is the only thing Trusted Types may pass.

import "./styles/all.css";
import { createSignal, Show } from "solid-js";
import { App } from "./app.tsx";
import { forgetDrafts } from "./conversation/composer.tsx";
import { render } from "./dom.ts";
import { speakPreferred } from "./language.ts";
import { createRemote, type Remote } from "./remote.ts";
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

const url = trustedWorkerUrl();

/** A worker, and the page's end of it. */
function begin(): { readonly worker: Worker; readonly remote: Remote } {
  const worker = new Worker(url, { type: "module", name: "kuvert-engine" });
  const remote = createRemote(worker);
  // A lock that has shut leaves no key in any memory: the worker ends, and a new one asks for the passphrase
  remote.lock.onShut(() => {
    worker.terminate();
    forgetDrafts();
    setLife(begin());
  });
  return { worker, remote };
}

const [life, setLife] = createSignal(begin());
for (const type of ["online", "offline"]) {
  addEventListener(type, () => {
    life().worker.postMessage({ type: "network", online: navigator.onLine } satisfies FromPage);
  });
}
const client = (): Node =>
  (
    <Show when={life()} keyed>
      {({ remote }) => <App remote={remote} />}
    </Show>
  ) as Node;
void speakPreferred().then(() => render(client, document.body));
