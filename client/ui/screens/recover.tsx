// Owns coming back when every device is lost: the words or a passkey, and what they bring back on its way.

import { createSignal, createUniqueId, type JSX, Show } from "solid-js";
import { isRefusal } from "../../../schemas/refusal.ts";
import { createAction } from "../action.ts";
import { deviceName } from "../device-name.ts";
import { explain, t } from "../language.ts";
import { Problem } from "../parts/problem.tsx";
import { Progress } from "../parts/progress.tsx";
import { askPasskey, knowsPasskeys, type PasskeyTrouble } from "../passkey.ts";
import { go } from "../route.ts";
import { useSession } from "../session.ts";
import { Frame } from "./frame.tsx";

/** What a person tries to come back by. */
type Way = "words" | "passkey";
type Failure = { readonly way: Way; readonly error: unknown } | { readonly trouble: PasskeyTrouble };

function problemOf(failure: Failure): string {
  if ("trouble" in failure) return t().recoverTrouble[failure.trouble];
  const { way, error } = failure;
  const code = isRefusal(error) ? error.code : "internal";
  if (way === "words" && code === "malformed") return t().recoverWrong;
  if (way === "passkey" && (code === "token_expired" || code === "unauthenticated")) return t().recoverAgain;
  // An authenticator may give another secret over another cable or telephone than where the passkey was made
  if (isRefusal(error) && error.detail.reason === "box") return t().recoverShut;
  if (code === "not_found") return way === "words" ? t().recoverUnknown : t().recoverUnknownPasskey;
  return explain(error);
}

export function Recover(): JSX.Element {
  const { engine, view } = useSession();
  const id = createUniqueId();
  const [phrase, setPhrase] = createSignal("");
  const [failure, setFailure] = createSignal<Failure | null>(null);
  const action = createAction();
  const comeBack = (way: Way, come: () => Promise<PasskeyTrouble | undefined>): void => {
    setFailure(null);
    void action.run(async () => {
      try {
        const trouble = await come();
        // Lost devices keep their access until they are signed out, and that is done there
        if (trouble === undefined) go("/settings", { replace: true });
        else setFailure({ trouble });
      } catch (error) {
        setFailure({ way, error });
      }
    });
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    comeBack("words", async () => {
      await engine.recover({ phrase: phrase(), deviceName: deviceName() });
      return undefined;
    });
  };
  const byPasskey = (): void =>
    comeBack("passkey", async () => {
      const answered = await askPasskey(await engine.passkeyChallenge());
      if (answered.kind !== "done") return answered.kind;
      await engine.recoverByPasskey({ answer: answered.value, deviceName: deviceName() });
      return undefined;
    });
  const problem = () => {
    const failed = failure();
    return failed === null ? null : problemOf(failed);
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
            <Show when={knowsPasskeys()}>
              <button type="button" class="button wide" disabled={action.busy()} onClick={byPasskey}>
                {t().recoverPasskey}
              </button>
            </Show>
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
