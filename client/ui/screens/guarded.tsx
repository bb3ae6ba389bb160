// Owns the screen of an app lock that is shut: its passphrase or its passkey, how the last try fared, and the way out for whoever has neither.

import { createMemo, createSignal, createUniqueId, type JSX, onMount, Show } from "solid-js";
import type { PasskeyHeader } from "../../engine/seal/header.ts";
import type { Opener } from "../../engine/seal/keys.ts";
import type { TryView } from "../../engine/seal/unlock.ts";
import { createAction } from "../action.ts";
import { useSecond } from "../clock.ts";
import { formatCountdown, t } from "../language.ts";
import { askLockPasskey } from "../lock-passkey.ts";
import { Confirm } from "../parts/dialog.tsx";
import { PassphraseInput } from "../parts/passphrase.tsx";
import { Problem } from "../parts/problem.tsx";
import type { PasskeyTrouble } from "../passkey.ts";
import { Frame } from "./frame.tsx";

/** `tried`: how the last try fared. `passkey`: the one that opens it, null for a passphrase. `onForget` deletes what is stored here. */
export function Guarded(props: {
  tried: TryView | null;
  passkey: PasskeyHeader | null;
  onOpen: (opener: Opener) => Promise<void>;
  onForget: () => Promise<void>;
}): JSX.Element {
  let button: HTMLButtonElement | undefined;
  const id = createUniqueId();
  const [passphrase, setPassphrase] = createSignal("");
  const [trouble, setTrouble] = createSignal<PasskeyTrouble | null>(null);
  const [forgetting, setForgetting] = createSignal(false);
  const action = createAction();
  const second = useSecond();
  const words = () => (props.passkey === null ? t().guardedPassphrase : t().guardedPasskey);
  const until = createMemo(() => Date.now() + (props.tried?.retryAfter ?? 0));
  const wait = () => Math.max(0, until() - Math.max(second(), Date.now()));
  const problem = (): string | null => {
    const { tried } = props;
    const kind = trouble();
    if (action.busy()) return null;
    if (kind !== null) return t().guardedTrouble[kind];
    if (tried === null) return action.problem();
    if (tried.kind === "locked") return words().out;
    return tried.kind === "wrong" ? words().wrong(tried.left) : t().guardedEarly;
  };
  const open = async (): Promise<void> => {
    const { passkey } = props;
    if (passkey === null) {
      const entered = passphrase();
      setPassphrase("");
      return props.onOpen(entered);
    }
    const outcome = await askLockPasskey(passkey);
    if (outcome.kind === "done") await props.onOpen(outcome.value);
    else setTrouble(outcome.kind);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    setTrouble(null);
    void action.run(open);
  };
  onMount(() => props.passkey !== null && button?.focus());
  return (
    <Frame>
      <h1>{t().guardedTitle}</h1>
      <p class="muted">{words().lead}</p>
      <form class="form" noValidate onSubmit={submit}>
        <Show when={props.passkey === null}>
          <PassphraseInput
            id={id}
            label={t().passphrase}
            value={passphrase()}
            onInput={setPassphrase}
            autocomplete="current-password"
            focused
          />
        </Show>
        <Problem text={problem()} />
        <Show when={wait() > 0 && !action.busy()}>
          <p class="note" role="status">
            {t().guardedWait(formatCountdown(wait()))}
          </p>
        </Show>
        <button
          ref={button}
          type="submit"
          class="button primary wide"
          disabled={action.busy() || wait() > 0 || (props.passkey === null && passphrase() === "")}
        >
          {action.busy() ? t().working : words().open}
        </button>
      </form>
      <button type="button" class="link-button" onClick={() => setForgetting(true)}>
        {words().forgot}
      </button>
      <Show when={forgetting()}>
        <Confirm
          question={words().forgot}
          help={words().forgotHelp}
          confirm={t().endedForget}
          onConfirm={props.onForget}
          onClose={() => setForgetting(false)}
        />
      </Show>
    </Frame>
  );
}
