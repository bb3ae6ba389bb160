// Owns the field for the app lock's passphrase: what is typed is not shown and not kept by the view.

import { type JSX, onMount, Show } from "solid-js";

export function PassphraseInput(props: {
  id: string;
  label: string;
  value: string;
  onInput: (value: string) => void;
  autocomplete: "current-password" | "new-password";
  problem?: string | null;
  /** Has the focus as soon as it is there. */
  focused?: boolean;
}): JSX.Element {
  let input: HTMLInputElement | undefined;
  onMount(() => props.focused === true && input?.focus());
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      <input
        ref={input}
        id={props.id}
        class="input"
        type="password"
        autocomplete={props.autocomplete}
        autocapitalize="none"
        spellcheck={false}
        value={props.value}
        aria-invalid={props.problem != null}
        aria-describedby={`${props.id}-problem`}
        onInput={(event: InputEvent) => props.onInput((event.target as HTMLInputElement).value)}
      />
      <p class="field-problem" id={`${props.id}-problem`}>
        <Show when={props.problem}>{(text) => text()}</Show>
      </p>
    </div>
  );
}
