// Owns the messenger's panes and which of them are on screen: the list, a conversation or the settings, and a panel beside it.

import {
  createEffect,
  createMemo,
  createSignal,
  type JSX,
  Match,
  on,
  onCleanup,
  Show,
  Suspense,
  Switch,
} from "solid-js";
import type { ConversationId } from "../../schemas/ids.ts";
import { Announcer } from "./announcer.tsx";
import { Conversation } from "./conversation/conversation.tsx";
import { ConversationList } from "./conversation-list.tsx";
import { Findings } from "./findings.tsx";
import { t } from "./language.ts";
import { later, loadAhead } from "./later.ts";
import { Icon } from "./parts/icon.tsx";
import { conversationPath, type Panel, route, up } from "./route.ts";
import { useSession } from "./session.ts";

const NewConversation = later(async () => (await import("./conversation/new-conversation.tsx")).NewConversation);
const Panels = later(async () => (await import("./conversation/panels.tsx")).Panels);
const Settings = later(async () => (await import("./settings/settings.tsx")).Settings);

/** Escape closes the panel, and the focus goes back to the button that opened it. An open dialog has Escape for itself. */
function useEscape(panel: () => Panel | null, id: () => ConversationId | null): void {
  const pressed = (event: KeyboardEvent): void => {
    const [open, conversation] = [panel(), id()];
    if (event.key !== "Escape" || open === null || conversation === null) return;
    if (event.defaultPrevented || document.querySelector("dialog[open]") !== null) return;
    up(conversationPath(conversation));
    document.querySelector<HTMLElement>(`[data-panel="${open}"]`)?.focus();
  };
  document.addEventListener("keydown", pressed);
  onCleanup(() => document.removeEventListener("keydown", pressed));
}

/** On a phone a pane goes away with the focus in it: it goes to the new pane, and on the list to where one came from. */
function useFocus(pane: () => string, id: () => ConversationId | null): void {
  createEffect(
    on([pane, id], ([now], before) => {
      const active = document.activeElement;
      if (active !== null && active !== document.body && active.checkVisibility()) return;
      const left = before?.[1] ?? null;
      const target = now === "list" && left !== null ? `.list a[href="${conversationPath(left)}"]` : ".main";
      document.querySelector<HTMLElement>(target)?.focus({ preventScroll: true });
    }),
  );
}

export function Messenger(): JSX.Element {
  const session = useSession();
  onCleanup(loadAhead());
  const [composing, setComposing] = createSignal(false);
  const id = createMemo(() => {
    const now = route();
    return now.screen === "conversation" ? now.id : null;
  });
  const panel = createMemo(() => {
    const now = route();
    return now.screen === "conversation" ? now.panel : null;
  });
  const conversation = createMemo(() => {
    const now = id();
    return now === null ? undefined : session.conversation(now);
  });
  const settings = () => route().screen === "settings";
  const pane = () => {
    if (panel() !== null) return "panel";
    return id() !== null || settings() ? "main" : "list";
  };
  useEscape(panel, id);
  useFocus(pane, id);
  return (
    <div class="messenger" data-pane={pane()}>
      <Findings />
      <ConversationList current={id()} onNew={() => setComposing(true)} />
      <main class="main" id="content" tabindex="-1">
        <Switch
          fallback={
            <div class="empty">
              <Icon name="envelope" class="large" />
              <p>{session.view.conversations.length > 0 ? t().chooseConversation : t().claim}</p>
            </div>
          }
        >
          <Match when={settings()}>
            <Suspense fallback={<p class="empty">{t().loading}</p>}>
              <Settings />
            </Suspense>
          </Match>
          <Match when={conversation()?.id} keyed>
            {(_) => <Show when={conversation()}>{(now) => <Conversation conversation={now()} panel={panel()} />}</Show>}
          </Match>
          <Match when={id()}>
            <div class="empty">
              <p>{t().unknownConversation}</p>
              <button type="button" class="button" onClick={() => up("/")}>
                {t().toConversations}
              </button>
            </div>
          </Match>
        </Switch>
      </main>
      <Show when={conversation()}>
        {(now) => (
          <Show when={panel()}>
            {(open) => (
              <Suspense>
                <Panels conversation={now()} panel={open()} />
              </Suspense>
            )}
          </Show>
        )}
      </Show>
      <Show when={composing()}>
        <Suspense>
          <NewConversation onClose={() => setComposing(false)} />
        </Suspense>
      </Show>
      <Announcer current={id()} />
    </div>
  );
}
