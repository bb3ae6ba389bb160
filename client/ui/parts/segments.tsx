// Owns a labelled choice among very few values that are all seen at once.

import { For, type JSX } from "solid-js";

/** A row of buttons of which one is pressed. */
export function Segments<Value extends string>(props: {
  label: string;
  values: readonly Value[];
  names: Readonly<Record<Value, string>>;
  value: Value;
  onChange: (value: Value) => void;
}): JSX.Element {
  return (
    <fieldset class="segments-field">
      <legend>{props.label}</legend>
      <div class="segments">
        <For each={props.values}>
          {(each) => (
            <button type="button" aria-pressed={props.value === each} onClick={() => props.onChange(each)}>
              {props.names[each]}
            </button>
          )}
        </For>
      </div>
    </fieldset>
  );
}
