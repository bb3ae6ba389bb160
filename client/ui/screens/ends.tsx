// Owns the screens on which nothing can be done here: another tab has the engine, the device is out, or there is a bug.

import { type JSX, Show } from "solid-js";
import type { RefusalCode } from "../../../schemas/refusal.ts";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { Frame } from "./frame.tsx";

export function Elsewhere(props: { onTake: () => void }): JSX.Element {
  return (
    <Frame>
      <h1>{t().elsewhereTitle}</h1>
      <p class="muted">{t().elsewhereHelp}</p>
      <button type="button" class="button primary wide" onClick={() => props.onTake()}>
        {t().elsewhereTake}
      </button>
    </Frame>
  );
}

/** Nobody of the company is served for the time being; everything is still here. */
function Suspended(): JSX.Element {
  return (
    <Frame>
      <h1>{t().suspendedTitle}</h1>
      <p class="muted">{t().suspendedHelp}</p>
      <button type="button" class="button primary wide" onClick={() => location.reload()}>
        {t().suspendedAgain}
      </button>
    </Frame>
  );
}

/** The device is not served any more. `onForget` deletes what is stored here. */
export function Ended(props: { code: RefusalCode | null; onForget: () => Promise<void> }): JSX.Element {
  return (
    <Show when={props.code === "tenant_suspended"} fallback={<SignedOut code={props.code} onForget={props.onForget} />}>
      <Suspended />
    </Show>
  );
}

/** Signed out for good. */
function SignedOut(props: { code: RefusalCode | null; onForget: () => Promise<void> }): JSX.Element {
  const action = createAction();
  const reason = (): string => {
    if (props.code === "device_revoked") return t().endedRevoked;
    if (props.code === null || props.code === "not_found" || props.code === "forbidden") return t().endedRemoved;
    return t().refusals[props.code];
  };
  return (
    <Frame>
      <h1>{t().endedTitle}</h1>
      <p class="muted">{reason()}</p>
      <button
        type="button"
        class="button danger wide"
        disabled={action.busy()}
        onClick={() => void action.run(props.onForget)}
      >
        {t().endedForget}
      </button>
      <p class="note">{t().endedForgetHelp}</p>
    </Frame>
  );
}

export function Crashed(): JSX.Element {
  return (
    <Frame>
      <h1>{t().crashedTitle}</h1>
      <p class="muted">{t().crashedHelp}</p>
      <button type="button" class="button primary wide" onClick={() => location.reload()}>
        {t().reload}
      </button>
    </Frame>
  );
}

/** The messenger's outline while the first snapshot is on its way. */
export function Skeleton(): JSX.Element {
  return (
    <main class="skeleton" aria-busy="true" aria-label={t().loading} id="content" tabindex="-1">
      <div class="skeleton-list">
        <span class="skeleton-row" />
        <span class="skeleton-row" />
        <span class="skeleton-row" />
        <span class="skeleton-row" />
      </div>
      <div class="skeleton-main" />
    </main>
  );
}
