// Owns becoming a further device of somebody: the code of the device one has, the digits to compare, and the history on its way.

import { createEffect, createSignal, createUniqueId, type JSX, Match, on, onCleanup, Show, Switch } from "solid-js";
import { isRefusal, Refusal } from "../../../schemas/refusal.ts";
import type { LinkingView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { deviceName } from "../device-name.ts";
import { explain, t } from "../language.ts";
import { Digits } from "../parts/digits.tsx";
import { Problem } from "../parts/problem.tsx";
import { Progress } from "../parts/progress.tsx";
import { go } from "../route.ts";
import { useSession } from "../session.ts";
import { Frame } from "./frame.tsx";

/** What went wrong, in the words of linking where there are better ones than the refusal's own. */
function problemOf(error: unknown): string {
  const code = isRefusal(error) ? error.code : "internal";
  if (code === "malformed") return t().linkCodeWrong;
  if (code === "not_found") return t().linkOver;
  if (code === "conflict" || code === "forbidden") return t().linkTaken;
  return explain(error);
}

/** The screen behind a device's QR code. `link`: the address that was opened; null when there was no code in it. */
export function LinkDevice(props: { link: string | null }): JSX.Element {
  const { engine, view } = useSession();
  const id = createUniqueId();
  const [code, setCode] = createSignal("");
  const [failure, setFailure] = createSignal<{ error: unknown } | null>(null);
  const action = createAction();
  const link = (text: string): void => {
    setFailure(null);
    void action.run(async () => {
      try {
        await engine.link({ code: text, deviceName: deviceName() });
        go("/", { replace: true });
      } catch (error) {
        setFailure({ error });
      }
    });
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    link(code());
  };
  const leave = (): void => {
    void engine.cancelLink();
    go("/", { replace: true });
  };
  createEffect(
    on(
      () => props.link,
      (opened) => opened !== null && link(opened),
    ),
  );
  const of = <Kind extends LinkingView["kind"]>(kind: Kind) => {
    const now = view.linking;
    return now?.kind === kind ? (now as Extract<LinkingView, { kind: Kind }>) : undefined;
  };
  // What an earlier visit had entered tells its end by the view alone
  const problem = () => {
    const [failed, over] = [failure(), of("over")];
    if (failed !== null) return problemOf(failed.error);
    return over === undefined ? null : problemOf(new Refusal(over.code));
  };
  onCleanup(() => {
    if (view.phase === "ready") go("/", { replace: true });
  });
  return (
    <Frame>
      <Switch
        fallback={
          <>
            <h1>{t().linkTitle}</h1>
            <p class="muted">{t().linkLead}</p>
            <form class="form" noValidate onSubmit={submit}>
              <div class="field">
                <label for={id}>{t().linkCode}</label>
                <input
                  id={id}
                  class="input code-input"
                  type="text"
                  autocomplete="off"
                  autocapitalize="characters"
                  spellcheck={false}
                  placeholder="XXXX-XXXX-XXXX-XXXX"
                  value={code()}
                  onInput={(event: InputEvent) => setCode((event.target as HTMLInputElement).value)}
                />
              </div>
              <Problem text={problem()} />
              <button type="submit" class="button primary wide" disabled={action.busy() || code().trim() === ""}>
                {action.busy() ? t().working : t().linkEnter}
              </button>
            </form>
            <button type="button" class="link-button" onClick={leave}>
              {t().back}
            </button>
          </>
        }
      >
        <Match when={of("entering")}>
          <h1>{t().linkCompare}</h1>
          <p class="muted">{t().working}</p>
          <button type="button" class="button wide" onClick={leave}>
            {t().cancel}
          </button>
        </Match>
        <Match when={of("entered")}>
          {(entered) => (
            <>
              <h1>{t().linkCompare}</h1>
              <Digits text={entered().digits} label={t().linkDigits} />
              <p class="muted">{t().linkCompareThere}</p>
              <button type="button" class="button wide" onClick={leave}>
                {t().cancel}
              </button>
            </>
          )}
        </Match>
        <Match when={of("arriving")}>
          {(arriving) => (
            <>
              <h1>{t().linkArriving}</h1>
              <Progress done={arriving().done} total={arriving().total} label={t().linkArriving} />
              <p class="muted">{t().linkArrivingHelp}</p>
              <Show when={arriving().total === 0}>
                <button type="button" class="link-button" onClick={() => void engine.cancelLink()}>
                  {t().linkWithout}
                </button>
              </Show>
            </>
          )}
        </Match>
      </Switch>
    </Frame>
  );
}
