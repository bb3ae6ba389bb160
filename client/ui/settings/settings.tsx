// Owns the page of everything about the company and this browser. It is loaded only when somebody goes there.

import { For, type JSX, Show } from "solid-js";
import { type Language, language, speak, t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
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

/** A row of buttons of which one is pressed. */
function Segments<Value extends string>(props: {
  label: string;
  values: readonly Value[];
  names: Readonly<Record<Value, string>>;
  value: Value;
  onChange: (value: Value) => void;
}): JSX.Element {
  return (
    <fieldset class="segments-field">
      <legend>{props.label}</legend>
      <div class="segments">
        <For each={props.values}>
          {(each) => (
            <button type="button" aria-pressed={props.value === each} onClick={() => props.onChange(each)}>
              {props.names[each]}
            </button>
          )}
        </For>
      </div>
    </fieldset>
  );
}

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
