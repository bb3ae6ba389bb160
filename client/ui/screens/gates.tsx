// Owns the screens before a sealed profile is open: no connection yet, and the app lock that wants its passphrase.

import { createMemo, createSignal, createUniqueId, type JSX, Show } from "solid-js";
import type { TryView } from "../../engine/seal/unlock.ts";
import { createAction } from "../action.ts";
import { useSecond } from "../clock.ts";
import { formatCountdown, t } from "../language.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { PassphraseInput } from "../parts/passphrase.tsx";
import { Problem } from "../parts/problem.tsx";
import { Frame } from "./frame.tsx";

/** The server's share is waited for; it goes on by itself. */
export function Unreachable(): JSX.Element {
  return (
    <Frame>
      <h1>{t().unreachableTitle}</h1>
      <p class="muted">{t().unreachableLead}</p>
      <p class="waiting-note" role="status">
        <Icon name="clock" />
        {t().unreachableWaiting}
      </p>
    </Frame>
  );
}

/** `tried`: how the passphrase before this one fared. `onForget` deletes what is stored here. */
export function Guarded(props: {
  tried: TryView | null;
  onOpen: (passphrase: string) => Promise<void>;
  onForget: () => Promise<void>;
}): JSX.Element {
  const id = createUniqueId();
  const [passphrase, setPassphrase] = createSignal("");
  const [forgetting, setForgetting] = createSignal(false);
  const action = createAction();
  const second = useSecond();
  const until = createMemo(() => Date.now() + (props.tried?.retryAfter ?? 0));
  const wait = () => Math.max(0, until() - Math.max(second(), Date.now()));
  const problem = (): string | null => {
    const { tried } = props;
    if (tried === null || action.busy()) return null;
    if (tried.kind === "locked") return t().guardedOut;
    return tried.kind === "wrong" ? t().guardedWrong(tried.left) : t().guardedEarly;
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    const entered = passphrase();
    setPassphrase("");
    void action.run(() => props.onOpen(entered));
  };
  return (
    <Frame>
      <h1>{t().guardedTitle}</h1>
      <p class="muted">{t().guardedLead}</p>
      <form class="form" noValidate onSubmit={submit}>
        <PassphraseInput
          id={id}
          label={t().passphrase}
          value={passphrase()}
          onInput={setPassphrase}
          autocomplete="current-password"
          focused
        />
        <Problem text={problem()} />
        <Show when={wait() > 0 && !action.busy()}>
          <p class="note" role="status">
            {t().guardedWait(formatCountdown(wait()))}
          </p>
        </Show>
        <button type="submit" class="button primary wide" disabled={action.busy() || wait() > 0 || passphrase() === ""}>
          {action.busy() ? t().working : t().guardedOpen}
        </button>
      </form>
      <button type="button" class="link-button" onClick={() => setForgetting(true)}>
        {t().guardedForgot}
      </button>
      <Show when={forgetting()}>
        <Confirm
          question={t().guardedForgot}
          help={t().guardedForgotHelp}
          confirm={t().endedForget}
          onConfirm={props.onForget}
          onClose={() => setForgetting(false)}
        />
      </Show>
    </Frame>
  );
}
