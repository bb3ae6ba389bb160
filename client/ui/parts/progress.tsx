// Owns the bar that shows how much of something has arrived.

import type { JSX } from "solid-js";

/** `total` 0: not known yet. */
export function Progress(props: { done: number; total: number; label: string }): JSX.Element {
  return (
    <progress
      class="progress"
      aria-label={props.label}
      max={props.total > 0 ? props.total : undefined}
      value={props.total > 0 ? props.done : undefined}
    />
  );
}
