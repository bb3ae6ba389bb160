// Owns the pane of one conversation: its head, its timeline, the field to write in, and what stands there instead when it is not active.

import { createSignal, For, type JSX, Match, Show, Switch } from "solid-js";
import type { ConversationView } from "../../engine/view.ts";
import { formatDuration, t } from "../language.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Icon, type IconName } from "../parts/icon.tsx";
import { conversationPath, go, type Panel, up } from "../route.ts";
import { useSession } from "../session.ts";
import { Composer } from "./composer.tsx";
import { Timeline } from "./timeline.tsx";

/** What is said of a conversation that is stopped. */
const BROKEN = {
  altered: "brokenAltered",
  rolled_back: "brokenRolledBack",
  contradicted: "brokenContradicted",
  forked: "brokenForked",
} as const;

const PANELS: readonly { readonly panel: Panel; readonly icon: IconName }[] = [
  { panel: "people", icon: "people" },
  { panel: "timer", icon: "clock" },
  { panel: "marks", icon: "bell" },
  { panel: "encryption", icon: "lock" },
];

function Head(props: { conversation: ConversationView; panel: Panel | null }): JSX.Element {
  const session = useSession();
  const { id } = props.conversation;
  const title = () => session.title(props.conversation);
  const people = (): string => {
    const { kind, members, state } = props.conversation;
    if (state === "joining") return t().joining;
    return kind === "group" ? t().peopleCount(members.length) : t().direct;
  };
  const toggle = (panel: Panel): void => {
    if (props.panel === panel) up(conversationPath(id));
    else go(conversationPath(id, panel), { replace: props.panel !== null });
  };
  return (
    <header class="pane-head">
      <button type="button" class="icon-button only-phone" aria-label={t().back} onClick={() => up("/")}>
        <Icon name="back" />
      </button>
      <Avatar id={session.others(props.conversation)[0] ?? id} name={title()} />
      <div class="pane-title">
        <h1>{title()}</h1>
        <p class="facts">
          {people()}
          <Show when={props.conversation.expiresIn}>
            {(expiresIn) => (
              <span class="fact" title={t().timerShort(formatDuration(expiresIn()))}>
                <Icon name="clock" class="tiny" />
                <span class="hidden">{t().timer}</span>
                <span>{formatDuration(expiresIn())}</span>
              </span>
            )}
          </Show>
        </p>
      </div>
      <div class="actions">
        <For each={PANELS}>
          {({ panel, icon }) => (
            <button
              type="button"
              class="icon-button"
              data-panel={panel}
              title={t()[panel]}
              aria-label={t()[panel]}
              aria-expanded={props.panel === panel}
              onClick={() => toggle(panel)}
            >
              <Icon name={panel === "marks" && props.conversation.muted !== null ? "muted" : icon} />
            </button>
          )}
        </For>
      </div>
    </header>
  );
}

/** One conversation. Made anew for each. */
export function Conversation(props: { conversation: ConversationView; panel: Panel | null }): JSX.Element {
  const [sent, setSent] = createSignal(0);
  const state = () => props.conversation.state;
  return (
    <>
      <Head conversation={props.conversation} panel={props.panel} />
      <Switch>
        <Match when={state() === "broken"}>
          <div class="empty">
            <Icon name="alert" class="large warning" />
            <p role="alert">{t()[BROKEN[props.conversation.fault ?? "altered"]]}</p>
          </div>
        </Match>
        <Match when={state() === "joining"}>
          <Show when={props.conversation.held} fallback={<p class="empty">{t().joiningTimeline}</p>}>
            <div class="empty">
              <Icon name="alert" class="large warning" />
              <p role="status">{t().holdOutside}</p>
            </div>
          </Show>
        </Match>
        <Match when={true}>
          <Timeline conversation={props.conversation} sent={sent()} />
          <Show when={state() === "active"} fallback={<p class="composer ended">{t().endedTimeline}</p>}>
            <Composer conversation={props.conversation} onSent={() => setSent((count) => count + 1)} />
          </Show>
        </Match>
      </Switch>
    </>
  );
}
