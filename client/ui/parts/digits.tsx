// Owns how digits look that people compare across two screens.

import type { JSX } from "solid-js";

/** Digits in groups of three, read out one by one. */
export function Digits(props: { text: string; label: string }): JSX.Element {
  const groups = () => props.text.match(/.{1,3}/g)?.join(" ") ?? "";
  return (
    <output class="digits" aria-label={`${props.label}: ${[...props.text].join(" ")}`}>
      {groups()}
    </output>
  );
}
