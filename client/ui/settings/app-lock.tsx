// Owns the app lock as a person sees it in the settings: on or off, and after how long it shuts.

import { createSignal, For, type JSX, Show } from "solid-js";
import { createAction } from "../action.ts";
import { formatDuration, t } from "../language.ts";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { type Intent, LockDialog } from "./lock-dialog.tsx";

const MINUTES = [1, 5, 15, 60] as const;
const inWords = (minutes: number): string => formatDuration(minutes * 60_000);

export function AppLock(): JSX.Element {
  const { lock } = useSession();
  const [intent, setIntent] = createSignal<Intent | null>(null);
  const action = createAction();
  const choose = (event: Event): void => {
    const minutes = Number((event.target as HTMLSelectElement).value);
    void action.run(() => lock.setMinutes(minutes));
  };
  return (
    <section class="card-section" aria-labelledby="app-lock">
      <div class="section-head">
        <h2 id="app-lock">{t().lockTitle}</h2>
        <Show
          when={lock.view()}
          fallback={
            <button type="button" class="button" onClick={() => setIntent("on")}>
              {t().lockOn}
            </button>
          }
        >
          <button type="button" class="button" onClick={() => lock.shut()}>
            {t().lockNow}
          </button>
        </Show>
      </div>
      <p class="muted">{t().lockLead}</p>
      <Show when={lock.view()}>
        {(on) => (
          <div class="lock-choices">
            <label class="field">
              <span>{t().lockAfter}</span>
              <select class="input" disabled={action.busy()} onChange={choose}>
                <For each={MINUTES}>
                  {(each) => (
                    <option value={each} selected={on().minutes === each}>
                      {inWords(each)}
                    </option>
                  )}
                </For>
              </select>
            </label>
            <button type="button" class="button" onClick={() => setIntent("change")}>
              {t().lockChange}
            </button>
            <button type="button" class="button quiet-danger" onClick={() => setIntent("off")}>
              {t().lockOff}
            </button>
          </div>
        )}
      </Show>
      <Problem text={action.problem()} />
      <Show when={intent()} keyed>
        {(now) => <LockDialog intent={now} onClose={() => setIntent(null)} />}
      </Show>
    </section>
  );
}
