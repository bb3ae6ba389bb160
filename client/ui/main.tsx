// Starts the client: the engine in its worker, the views in the page.

// First, and ahead of everything that only the views need
import { first, launch } from "./launch.ts";
import "./styles/all.css";
import { createSignal, Show } from "solid-js";
import { App, prepareFirstVisit } from "./app.tsx";
import { forgetDrafts } from "./conversation/composer.tsx";
import { render } from "./dom.ts";
import { speakPreferred } from "./language.ts";
import { createRemote, type Remote } from "./remote.ts";
import { isFirstVisit } from "./visits.ts";
import type { FromPage } from "./wire.ts";

/** A worker, and the page's end of it. */
interface Life {
  readonly worker: Worker;
  readonly remote: Remote;
}

function begin(worker: Worker): Life {
  const remote = createRemote(worker);
  // A lock that has shut leaves no key in any memory: the worker ends, and a new one asks for the passphrase
  remote.lock.onShut(() => {
    worker.terminate();
    forgetDrafts();
    setLife(begin(launch()));
  });
  return { worker, remote };
}

const [life, setLife] = createSignal(begin(first));
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
if (isFirstVisit()) {
  life().remote.expectNothing();
  prepareFirstVisit();
}
void speakPreferred().then(() => render(client, document.body));
