// Owns coming back when every device is lost: the words, and what they bring back on its way.

import { createSignal, createUniqueId, type JSX, Show } from "solid-js";
import { isRefusal } from "../../../schemas/refusal.ts";
import { createAction } from "../action.ts";
import { deviceName } from "../device-name.ts";
import { explain, t } from "../language.ts";
import { Problem } from "../parts/problem.tsx";
import { Progress } from "../parts/progress.tsx";
import { go } from "../route.ts";
import { useSession } from "../session.ts";
import { Frame } from "./frame.tsx";

function problemOf(error: unknown): string {
  const code = isRefusal(error) ? error.code : "internal";
  if (code === "malformed") return t().recoverWrong;
  return code === "not_found" ? t().recoverUnknown : explain(error);
}

export function Recover(): JSX.Element {
  const { engine, view } = useSession();
  const id = createUniqueId();
  const [phrase, setPhrase] = createSignal("");
  const [failure, setFailure] = createSignal<{ error: unknown } | null>(null);
  const action = createAction();
  const submit = (event: Event): void => {
    event.preventDefault();
    setFailure(null);
    void action.run(async () => {
      try {
        await engine.recover({ phrase: phrase(), deviceName: deviceName() });
        // Lost devices keep their access until they are signed out, and that is done there
        go("/settings", { replace: true });
      } catch (error) {
        setFailure({ error });
      }
    });
  };
  const problem = () => {
    const failed = failure();
    return failed === null ? null : problemOf(failed.error);
  };
  const arriving = () => (view.linking?.kind === "arriving" ? view.linking : undefined);
  return (
    <Frame>
      <h1>{t().recoverTitle}</h1>
      <Show
        when={arriving()}
        fallback={
          <>
            <p class="muted">{t().recoverLead}</p>
            <form class="form" noValidate onSubmit={submit}>
              <div class="field">
                <label for={id}>{t().recoverWords}</label>
                <textarea
                  id={id}
                  class="input words-input"
                  rows="6"
                  autocomplete="off"
                  autocapitalize="none"
                  spellcheck={false}
                  value={phrase()}
                  onInput={(event: InputEvent) => setPhrase((event.target as HTMLTextAreaElement).value)}
                />
              </div>
              <Problem text={problem()} />
              <button type="submit" class="button primary wide" disabled={action.busy() || phrase().trim() === ""}>
                {action.busy() ? t().working : t().recover}
              </button>
            </form>
            <button type="button" class="link-button" onClick={() => go("/", { replace: true })}>
              {t().back}
            </button>
          </>
        }
      >
        {(parts) => (
          <>
            <Progress done={parts().done} total={parts().total} label={t().linkArriving} />
            <p class="muted">{t().linkArrivingHelp}</p>
          </>
        )}
      </Show>
    </Frame>
  );
}
