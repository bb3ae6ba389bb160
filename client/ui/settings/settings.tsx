// Owns the page of everything about the company and this browser. It is loaded only when somebody goes there.

import { type JSX, Show } from "solid-js";
import { type Language, language, speak, t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
import { Segments } from "../parts/segments.tsx";
import { up } from "../route.ts";
import { useSession } from "../session.ts";
import { type Theme, theme, wear } from "../theme.ts";
import { AppLock } from "./app-lock.tsx";
import { Devices } from "./devices.tsx";
import { Invites } from "./invites.tsx";
import { Members } from "./members.tsx";
import { Passkeys } from "./passkeys.tsx";
import { Data } from "./policy.tsx";
import { Recovery } from "./recovery.tsx";

const LANGUAGES: readonly Language[] = ["de", "en"];
const THEMES: readonly Theme[] = ["auto", "light", "dark"];

function Appearance(): JSX.Element {
  return (
    <section class="card-section" aria-labelledby="appearance">
      <h2 id="appearance">{t().appearanceTitle}</h2>
      <div class="columns">
        <Segments label={t().language} values={LANGUAGES} names={t().languages} value={language()} onChange={speak} />
        <Segments label={t().theme} values={THEMES} names={t().themes} value={theme()} onChange={wear} />
      </div>
    </section>
  );
}

export function Settings(): JSX.Element {
  const { view, manages } = useSession();
  return (
    <>
      <header class="pane-head">
        <button type="button" class="icon-button" aria-label={t().back} onClick={() => up("/")}>
          <Icon name="back" />
        </button>
        <div class="pane-title">
          <h1>{t().settings}</h1>
          <p class="facts">{view.account?.tenant.name}</p>
        </div>
      </header>
      <div class="page">
        <Show when={manages()}>
          <Invites />
        </Show>
        <Members />
        <Devices />
        <AppLock />
        <Recovery />
        <Passkeys />
        <Data />
        <Appearance />
      </div>
    </>
  );
}
