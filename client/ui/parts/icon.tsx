// Owns the drawings of the icons: strokes on a 20-unit grid. An icon is silent unless it is given a label.

import type { JSX } from "solid-js";

const PATHS = {
  envelope: "M2.5 5h15v10.5h-15zM2.5 5.5l7.5 5.5 7.5-5.5",
  back: "M12 4.5 6.5 10l5.5 5.5",
  close: "M5 5l10 10M15 5 5 15",
  plus: "M10 4v12M4 10h12",
  search: "M9 4a5 5 0 1 1 0 10A5 5 0 0 1 9 4zM12.7 12.7 16.5 16.5",
  people:
    "M7.5 4.5a2.7 2.7 0 1 1 0 5.4 2.7 2.7 0 0 1 0-5.4zM2.5 16c.3-3 2.3-4.6 5-4.6s4.7 1.6 5 4.6M13.2 4.8a2.5 2.5 0 0 1 0 4.8M14.3 11.7c1.9.5 3 2 3.2 4.3",
  clock: "M10 3.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM10 6.5V10l2.5 1.7",
  lock: "M5.5 9h9v7h-9zM7.2 9V6.8a2.8 2.8 0 0 1 5.6 0V9",
  settings:
    "M3.5 6h7M14.5 6h2M3.5 14h2M9.5 14h7M12.5 4.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6zM7.5 12.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6z",
  send: "M3.5 10 16.5 4l-4 12.5-3.2-5.3zM9.3 11.2 16.5 4",
  check: "M4.5 10.5 8 14l7.5-8",
  double: "M2 10.5 5.5 14 13 6M9.5 13.5l.5.5L17.5 6",
  alert: "M10 3.5 17.5 16.5h-15zM10 8.5v3.5M10 14.2v.1",
  down: "M10 4.5v11M5.5 11l4.5 4.5 4.5-4.5",
  copy: "M7 7h9v9H7zM13 7V4H4v9h3",
  pencil: "M4 16l.8-3.2 8.7-8.7 2.4 2.4-8.7 8.7z",
  leave: "M8 4H4v12h4M9 10h7.5M13.5 7l3 3-3 3",
  computer: "M3 4.5h14v9H3zM7.5 16.5h5M10 13.5v3",
  phone: "M6 2.5h8v15H6zM9 15h2",
  terminal: "M2.5 4h15v12h-15zM5.5 7.5 8 10l-2.5 2.5M9.5 12.5h4",
  bell: "M5 14V9.2a5 5 0 0 1 10 0V14l1.5 1.5h-13zM8.5 17.5h3",
  muted: "M5 14V9.2a5 5 0 0 1 7.6-4.3M15 9.4V14l1.5 1.5H7M8.5 17.5h3M3.5 3.5l13 13",
  pin: "M7.5 3.5h5l-.6 5 2.6 3h-9l2.6-3zM10 11.5v5",
  tick: "M5 10.5 8.5 14 15 6.5",
} as const;

export type IconName = keyof typeof PATHS;

/** A 20-pixel icon. With `label` it is an image of its own; without, it only accompanies a name. */
export function Icon(props: { name: IconName; label?: string; class?: string }): JSX.Element {
  return (
    <svg
      viewBox="0 0 20 20"
      width="20"
      height="20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      class={`icon ${props.class ?? ""}`}
      role={props.label === undefined ? undefined : "img"}
      aria-label={props.label}
      aria-hidden={props.label === undefined ? "true" : undefined}
    >
      <path d={PATHS[props.name]} />
    </svg>
  );
}
