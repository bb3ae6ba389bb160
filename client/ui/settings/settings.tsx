// Owns the page of everything about the company and this browser. It is loaded only when somebody goes there.

import { For, type JSX, Show } from "solid-js";
import { formatDuration, type Language, language, speak, t } from "../language.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Icon } from "../parts/icon.tsx";
import { up } from "../route.ts";
import { ResidencyNote } from "../screens/sign-up.tsx";
import { useSession } from "../session.ts";
import { type Theme, theme, wear } from "../theme.ts";
import { AppLock } from "./app-lock.tsx";
import { Devices } from "./devices.tsx";
import { Invites } from "./invites.tsx";
import { Passkeys } from "./passkeys.tsx";
import { Recovery } from "./recovery.tsx";

function Members(): JSX.Element {
  const { view } = useSession();
  const present = () => view.members.filter(({ removed }) => !removed);
  return (
    <section class="card-section" aria-labelledby="members">
      <div class="section-head">
        <h2 id="members">{t().membersTitle}</h2>
        <span class="muted">{t().peopleCount(present().length)}</span>
      </div>
      <ul class="rows">
        <For each={view.members}>
          {(member) => (
            <li class="row" classList={{ gone: member.removed }}>
              <Avatar id={member.id} name={member.name} />
              <span class="row-main">
                <span class="row-title">
                  {member.name}
                  <Show when={member.id === view.account?.member.id}>
                    <span class="muted"> ({t().you})</span>
                  </Show>
                </span>
              </span>
              <span class="row-note">{member.removed ? t().gone : t().role[member.role]}</span>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

function Data(): JSX.Element {
  const { view } = useSession();
  const residency = () => view.account?.tenant.residency ?? "eu";
  return (
    <section class="card-section" aria-labelledby="data">
      <h2 id="data">{t().dataTitle}</h2>
      <dl class="facts-list">
        <dt>{t().dataPlace}</dt>
        <dd>{residency() === "eu" ? t().dataEu : t().dataGlobal}</dd>
        <Show when={view.policy}>
          {(policy) => (
            <>
              <dt>{t().dataRetention}</dt>
              <dd>{formatDuration(policy().retention)}</dd>
              <dt>{t().dataExpiry}</dt>
              <dd>{t().dataRange(formatDuration(policy().minExpiry), formatDuration(policy().maxExpiry))}</dd>
              <dt>{t().dataDefault}</dt>
              <dd>{formatDefault(policy().defaultExpiry)}</dd>
            </>
          )}
        </Show>
      </dl>
      <p class="note">{t().dataNote}</p>
      <ResidencyNote residency={residency()} />
    </section>
  );
}

function formatDefault(expiry: number | null): string {
  return expiry === null ? t().dataNoDefault : formatDuration(expiry);
}

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
