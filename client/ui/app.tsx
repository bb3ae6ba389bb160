// Owns which screen stands: what the engine's place and phase call for, before any conversation is looked at.

import { createEffect, createSignal, ErrorBoundary, type JSX, lazy, Match, onMount, Suspense, Switch } from "solid-js";
import type { Gate } from "../engine/seal/unlock.ts";
import { watchIdle } from "./idle.ts";
import { t } from "./language.ts";
import { later } from "./later.ts";
import { Messenger } from "./messenger.tsx";
import type { Remote } from "./remote.ts";
import { deviceLink, inviteLink, route } from "./route.ts";
import { Crashed, Elsewhere, Ended, Skeleton } from "./screens/ends.tsx";
import { Unreachable } from "./screens/unreachable.tsx";
import { createSession, SessionProvider } from "./session.ts";
import { noteVisit } from "./visits.ts";
import type { Place } from "./wire.ts";

// Of use with an app lock only; it may shut when the network has gone
const Guarded = later(async () => (await import("./screens/guarded.tsx")).Guarded);
// Of use once in a browser's life, if ever
const AlreadyIn = lazy(() => import("./screens/join.tsx").then(({ AlreadyIn: view }) => ({ default: view })));
const Join = lazy(() => import("./screens/join.tsx").then(({ Join: view }) => ({ default: view })));
const LinkDevice = lazy(() => import("./screens/link-device.tsx").then(({ LinkDevice: view }) => ({ default: view })));
const Recover = lazy(() => import("./screens/recover.tsx").then(({ Recover: view }) => ({ default: view })));
const SignUp = lazy(() => import("./screens/sign-up.tsx").then(({ SignUp: view }) => ({ default: view })));

/** Loads what a first visit most likely asks for. */
export function prepareFirstVisit(): void {
  if (route().screen !== "join") void SignUp.preload();
}

/** A bug in a view: say so in the browser's own place for it, and stop drawing. */
function Bug(props: { error: unknown }): JSX.Element {
  onMount(() => reportError(props.error));
  return <Crashed />;
}

/** The whole client over an engine, wherever that runs. */
export function App(props: { remote: Remote }): JSX.Element {
  const session = createSession(props.remote);
  const { view } = session;
  const { lock } = props.remote;
  const [place, setPlace] = createSignal<Place>("starting");
  props.remote.onPlace(setPlace);
  const gate = <Kind extends Gate["kind"]>(kind: Kind) => {
    const now = place();
    return typeof now === "object" && now.kind === kind ? (now as Extract<Gate, { kind: Kind }>) : undefined;
  };
  watchIdle(() => session.lock.view()?.minutes ?? null, lock.shut);
  const joining = () => route().screen === "join";
  const linking = () => route().screen === "link";
  createEffect(() => {
    if (view.phase === "ready" || view.phase === "ended") noteVisit(true);
  });
  const forget = async (): Promise<void> => {
    await props.remote.forget();
    noteVisit(false);
    location.assign("/");
  };
  const skip = (): void => {
    document.getElementById("content")?.focus();
  };
  return (
    <ErrorBoundary fallback={(error) => <Bug error={error} />}>
      <SessionProvider value={session}>
        <button type="button" class="skip" onClick={skip}>
          {t().skip}
        </button>
        <Switch fallback={<Skeleton />}>
          <Match when={place() === "crashed"}>
            <Crashed />
          </Match>
          <Match when={place() === "elsewhere"}>
            <Elsewhere onTake={() => props.remote.take()} />
          </Match>
          <Match when={gate("unreachable")}>
            <Unreachable />
          </Match>
          <Match when={gate("guarded")}>
            {(guarded) => (
              <Suspense>
                <Guarded {...guarded()} onOpen={lock.open} onForget={forget} />
              </Suspense>
            )}
          </Match>
          <Match when={gate("shut")}>{(shut) => <Ended code={shut().code} onForget={forget} />}</Match>
          <Match when={view.phase === "ended"}>
            <Ended code={view.code} onForget={forget} />
          </Match>
          <Match when={view.phase === "fresh" && joining()}>
            <Suspense>
              <Join link={inviteLink()} />
            </Suspense>
          </Match>
          <Match when={view.phase === "fresh" && route().screen === "recover"}>
            <Suspense>
              <Recover />
            </Suspense>
          </Match>
          <Match when={view.phase === "fresh" && (linking() || view.linking !== null)}>
            <Suspense>
              <LinkDevice link={deviceLink()} />
            </Suspense>
          </Match>
          <Match when={view.phase === "fresh"}>
            <Suspense>
              <SignUp />
            </Suspense>
          </Match>
          <Match when={view.phase === "ready" && (joining() || linking())}>
            <Suspense>
              <AlreadyIn />
            </Suspense>
          </Match>
          <Match when={view.phase === "ready"}>
            <Messenger />
          </Match>
        </Switch>
      </SessionProvider>
    </ErrorBoundary>
  );
}
