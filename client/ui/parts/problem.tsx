// Owns how a refused action says so, beside what was tried.

import { type JSX, Show } from "solid-js";
import { Icon } from "./icon.tsx";

/** One plain sentence, announced when it appears; nothing for null. */
export function Problem(props: { text: string | null }): JSX.Element {
  return (
    <Show when={props.text}>
      {(text) => (
        <p class="problem" role="alert">
          <Icon name="alert" />
          <span>{text()}</span>
        </p>
      )}
    </Show>
  );
}
