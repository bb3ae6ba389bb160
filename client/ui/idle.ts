// Owns when nobody has touched the page for a while. It counts by the wall clock, so that a machine that slept has been idle, too.

import { onCleanup } from "solid-js";

const MINUTE = 60_000;
const LOOK = 1_000;
const TOUCHES = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"] as const;

/** Calls `shut` once nobody has touched the page for `minutes()`, for as long as the calling view exists; null: never. */
export function watchIdle(minutes: () => number | null, shut: () => void): void {
  let touchedAt = Date.now();
  const look = (): boolean => {
    const limit = minutes();
    const isOver = limit !== null && Date.now() - touchedAt >= limit * MINUTE;
    if (isOver) shut();
    return isOver;
  };
  const touched = (): void => {
    // The first touch after a sleep comes before any timer
    if (!look()) touchedAt = Date.now();
  };
  for (const type of TOUCHES) addEventListener(type, touched, { passive: true, capture: true });
  document.addEventListener("visibilitychange", look);
  const timer = setInterval(look, LOOK);
  onCleanup(() => {
    for (const type of TOUCHES) removeEventListener(type, touched, { capture: true });
    document.removeEventListener("visibilitychange", look);
    clearInterval(timer);
  });
}
