// Owns the screen before a sealed profile is open while there is no connection yet.

import type { JSX } from "solid-js";
import { t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
import { Frame } from "./frame.tsx";

/** The server's share is waited for; it goes on by itself. */
export function Unreachable(): JSX.Element {
  return (
    <Frame>
      <h1>{t().unreachableTitle}</h1>
      <p class="muted">{t().unreachableLead}</p>
      <p class="waiting-note" role="status">
        <Icon name="clock" />
        {t().unreachableWaiting}
      </p>
    </Frame>
  );
}
