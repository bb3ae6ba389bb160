// Owns a labelled choice among a few values: the browser's own list.

import { createUniqueId, For, type JSX } from "solid-js";

export function Choice<Value extends string | number | null>(props: {
  label: string;
  values: readonly Value[];
  name: (value: Value) => string;
  value: Value;
  onChange: (value: Value) => void;
}): JSX.Element {
  const id = createUniqueId();
  const changed = (event: Event): void => {
    const chosen = props.values[(event.target as HTMLSelectElement).selectedIndex];
    if (chosen !== undefined) props.onChange(chosen);
  };
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select id={id} class="input" onChange={changed}>
        <For each={props.values}>
          {(each) => (
            <option value={each ?? ""} selected={each === props.value}>
              {props.name(each)}
            </option>
          )}
        </For>
      </select>
    </div>
  );
}
