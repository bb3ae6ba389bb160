// Owns the app lock as a person sets it: on or off, the passphrase, and after how long it shuts.

import { createSignal, createUniqueId, For, type JSX, Show } from "solid-js";
import { isRefusal } from "../../../schemas/refusal.ts";
import { PASSPHRASE_CHARACTERS } from "../../engine/seal/limits.ts";
import { createAction } from "../action.ts";
import { explain, formatCountdown, formatDuration, t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { PassphraseInput } from "../parts/passphrase.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";

const MINUTES = [1, 5, 15, 60] as const;
const inWords = (minutes: number): string => formatDuration(minutes * 60_000);

/** What went wrong with the present passphrase, in words of the lock. */
function problemOf(error: unknown): string {
  if (!isRefusal(error)) return explain(error);
  const { reason, left, retryAfter } = error.detail;
  if (reason === "wrong") return t().guardedWrong(Number(left));
  if (reason === "locked") return t().guardedOut;
  return reason === "passphrase" ? t().guardedWait(formatCountdown(Number(retryAfter))) : explain(error);
}

type Intent = "on" | "change" | "off";

function LockDialog(props: { intent: Intent; onClose: () => void }): JSX.Element {
  const { lock } = useSession();
  const [currentId, firstId, secondId] = [createUniqueId(), createUniqueId(), createUniqueId()];
  const [current, setCurrent] = createSignal("");
  const [first, setFirst] = createSignal("");
  const [second, setSecond] = createSignal("");
  const [checked, setChecked] = createSignal(false);
  const [failure, setFailure] = createSignal<{ error: unknown } | null>(null);
  const action = createAction();
  const isShort = () => first().length < PASSPHRASE_CHARACTERS;
  const isOther = () => first() !== second();
  const change = async (): Promise<void> => {
    if (props.intent === "off") return lock.unguard(current());
    const minutes = lock.view()?.minutes ?? MINUTES[1];
    return lock.guard({ passphrase: first(), minutes, current: props.intent === "on" ? null : current() });
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    setChecked(true);
    if (props.intent !== "off" && (isShort() || isOther())) return;
    setFailure(null);
    void action.run(async () => {
      try {
        await change();
        props.onClose();
      } catch (error) {
        setFailure({ error });
      }
    });
  };
  const problem = () => {
    const failed = failure();
    return failed === null ? null : problemOf(failed.error);
  };
  const label = () => ({ on: t().lockOn, change: t().lockChange, off: t().lockOff })[props.intent];
  return (
    <Dialog title={label()} onClose={props.onClose}>
      <form class="form" noValidate onSubmit={submit}>
        <Show when={props.intent !== "on"}>
          <PassphraseInput
            id={currentId}
            label={t().passphraseCurrent}
            value={current()}
            onInput={setCurrent}
            autocomplete="current-password"
          />
        </Show>
        <Show when={props.intent !== "off"}>
          <PassphraseInput
            id={firstId}
            label={t().passphraseNew}
            value={first()}
            onInput={setFirst}
            autocomplete="new-password"
            problem={checked() && isShort() ? t().passphraseShort(PASSPHRASE_CHARACTERS) : null}
          />
          <PassphraseInput
            id={secondId}
            label={t().passphraseAgain}
            value={second()}
            onInput={setSecond}
            autocomplete="new-password"
            problem={checked() && !isShort() && isOther() ? t().passphraseOther : null}
          />
          <p class="note">{t().lockForgetting}</p>
        </Show>
        <Problem text={problem()} />
        <footer class="dialog-foot">
          <button type="submit" class="button primary" disabled={action.busy()}>
            {action.busy() ? t().working : label()}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

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
