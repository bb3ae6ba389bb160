// Owns the quiet line that says when the server cannot be reached. A short wait is not worth a word.

import { createEffect, createSignal, type JSX, onCleanup, Show } from "solid-js";
import { t } from "./language.ts";
import { useSession } from "./session.ts";

const PATIENCE = 2_000;

export function ConnectionNote(): JSX.Element {
  const { view } = useSession();
  const [late, setLate] = createSignal(false);
  createEffect(() => {
    if (view.connection === "online") setLate(false);
    else {
      const timer = setTimeout(() => setLate(true), PATIENCE);
      onCleanup(() => clearTimeout(timer));
    }
  });
  return (
    <div role="status">
      <Show when={late() && view.connection !== "online"}>
        <p class="connection">{view.connection === "offline" ? t().offline : t().connecting}</p>
      </Show>
    </div>
  );
}
