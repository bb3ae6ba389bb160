// Owns whether the client is light or dark. The colours themselves are in the style sheet.

import { createEffect, createRoot, createSignal } from "solid-js";

export type Theme = "auto" | "light" | "dark";

const KEY = "kuvert.theme";

function stored(): Theme {
  const theme = localStorage.getItem(KEY);
  return theme === "light" || theme === "dark" ? theme : "auto";
}

const [theme, setTheme] = createSignal<Theme>(stored());

export { theme };

createRoot(() =>
  createEffect(() => {
    document.documentElement.dataset.theme = theme();
  }),
);

/** Wears a theme from now on, also after a reload. */
export function wear(next: Theme): void {
  localStorage.setItem(KEY, next);
  setTheme(next);
}
