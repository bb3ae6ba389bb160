// Owns the quiet page around a screen that is not the messenger itself: sign-up, joining, and the ends of things.

import { For, type JSX } from "solid-js";
import { type Language, language, speak, t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";

const LANGUAGES: readonly Language[] = ["de", "en"];

/** A card in the middle of the page, under the product's name, over the choice of language. */
export function Frame(props: { children: JSX.Element; claim?: boolean }): JSX.Element {
  return (
    <main class="frame" id="content" tabindex="-1">
      <div class="frame-brand">
        <span class="brand-mark">
          <Icon name="envelope" />
        </span>
        <span class="brand-name">{t().product}</span>
      </div>
      {props.claim === true && <p class="frame-claim">{t().claim}</p>}
      <section class="card">{props.children}</section>
      <nav class="frame-foot" aria-label={t().language}>
        <For each={LANGUAGES}>
          {(each) => (
            <button
              type="button"
              class="link-button"
              lang={each}
              aria-pressed={language() === each}
              onClick={() => void speak(each)}
            >
              {t().languages[each]}
            </button>
          )}
        </For>
      </nav>
    </main>
  );
}
