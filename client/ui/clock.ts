// Owns the time the views show: one timer for all, running only while something on screen needs it.

import { createSignal, onCleanup } from "solid-js";

/** A coarse now: fine enough for "today" and "yesterday". */
const [minute, setMinute] = createSignal(Date.now());
setInterval(() => setMinute(Date.now()), 30_000);

export { minute };

const [second, setSecond] = createSignal(Date.now());
let watchers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Now, renewed every second for as long as the calling view exists. */
export function useSecond(): () => number {
  watchers += 1;
  if (watchers === 1) {
    setSecond(Date.now());
    timer = setInterval(() => setSecond(Date.now()), 1_000);
  }
  onCleanup(() => {
    watchers -= 1;
    if (watchers === 0) clearInterval(timer);
  });
  return second;
}
