// Owns the list of conversations: search, unread counts, the last line of each, and walking it with the arrow keys.

import { createMemo, createSignal, For, type JSX, Match, Show, Switch } from "solid-js";
import type { ConversationId } from "../../schemas/ids.ts";
import type { ConversationView } from "../engine/view.ts";
import { minute } from "./clock.ts";
import { ConnectionNote } from "./connection.tsx";
import { draftOf } from "./conversation/composer.tsx";
import { formatRecent, language, t } from "./language.ts";
import { Avatar } from "./parts/avatar.tsx";
import { Icon } from "./parts/icon.tsx";
import { Reminder } from "./reminder.tsx";
import { conversationPath, go } from "./route.ts";
import { useSession } from "./session.ts";

/** Follows a link of this application without loading a page, unless the browser was asked for something else. */
function follow(event: MouseEvent, path: string): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(path);
}

function LastLine(props: { conversation: ConversationView }): JSX.Element {
  const session = useSession();
  const { view } = session;
  const sender = (): string => {
    const from = props.conversation.last?.from ?? null;
    if (from === null) return "";
    if (from === view.account?.member.id) return `${t().you}: `;
    return props.conversation.kind === "group" ? `${session.name(from).split(" ")[0]}: ` : "";
  };
  const idle = (): string => {
    const { state } = props.conversation;
    return state === "active" ? t().noMessages : t()[state];
  };
  return (
    <Switch fallback={<span class="row-note">{idle()}</span>}>
      <Match when={draftOf(props.conversation)}>
        {(draft) => (
          <span class="row-note">
            <span class="draft">{t().draft}: </span>
            {draft()}
          </span>
        )}
      </Match>
      <Match when={props.conversation.state === "broken"}>
        <span class="row-note warning">{t().broken}</span>
      </Match>
      <Match when={props.conversation.held?.reason === "outside"}>
        <span class="row-note warning">{t().outside}</span>
      </Match>
      <Match when={props.conversation.last}>
        {(last) => (
          <span class="row-note">
            {sender()}
            {last().text}
          </span>
        )}
      </Match>
    </Switch>
  );
}

function Entry(props: { conversation: ConversationView; current: boolean }): JSX.Element {
  const session = useSession();
  const { id } = props.conversation;
  const title = () => session.title(props.conversation);
  return (
    <li>
      <a
        class="row entry"
        classList={{ unread: props.conversation.unread > 0, muted: props.conversation.muted !== null }}
        href={conversationPath(id)}
        aria-current={props.current ? "page" : undefined}
        onClick={(event: MouseEvent) => follow(event, conversationPath(id))}
      >
        <Avatar id={session.others(props.conversation)[0] ?? id} name={title()} />
        <span class="row-main">
          <span class="entry-line">
            <span class="row-title">{title()}</span>
            <Show when={props.conversation.muted}>
              <Icon name="muted" class="tiny" label={t().muted} />
            </Show>
            <Show when={props.conversation.pinned}>
              <Icon name="pin" class="tiny" label={t().pinned} />
            </Show>
            <time class="when">
              {formatRecent(props.conversation.last?.at ?? props.conversation.activeAt, minute())}
            </time>
          </span>
          <span class="entry-line">
            <LastLine conversation={props.conversation} />
            <Show when={props.conversation.expiresIn !== null}>
              <Icon name="clock" class="tiny" />
            </Show>
            <Show when={props.conversation.unread > 0}>
              <span class="badge">
                <span aria-hidden="true">{Math.min(props.conversation.unread, 999)}</span>
                <span class="hidden">{t().unread(props.conversation.unread)}</span>
              </span>
            </Show>
          </span>
        </span>
      </a>
    </li>
  );
}

function Empty(props: { onNew: () => void }): JSX.Element {
  const { view } = useSession();
  const alone = () => view.members.filter(({ removed }) => !removed).length <= 1;
  return (
    <div class="empty">
      <p class="empty-title">{alone() ? t().nobodyYet : t().noConversations}</p>
      <p>{alone() ? t().nobodyYetHelp : t().noConversationsHelp}</p>
      <Show
        when={alone()}
        fallback={
          <button type="button" class="button" onClick={() => props.onNew()}>
            {t().newConversation}
          </button>
        }
      >
        <button type="button" class="button" onClick={() => go("/settings")}>
          {t().invitePeople}
        </button>
      </Show>
    </div>
  );
}

/** Moves the focus along the links of a list by the arrow keys, Home and End. */
function walk(event: KeyboardEvent): void {
  const links = Array.from((event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("a"));
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  links[Math.max(0, Math.min(next, links.length - 1))]?.focus();
}

export function ConversationList(props: { current: ConversationId | null; onNew: () => void }): JSX.Element {
  const session = useSession();
  const { view } = session;
  const [search, setSearch] = createSignal("");
  const found = createMemo(() => {
    const wanted = search().trim().toLocaleLowerCase(language());
    if (wanted === "") return view.conversations;
    return view.conversations.filter((each) => session.title(each).toLocaleLowerCase(language()).includes(wanted));
  });
  return (
    <nav class="list" aria-label={t().conversations}>
      <header class="pane-head">
        <div class="pane-title">
          <p class="organisation">{view.account?.tenant.name}</p>
          <p class="facts">{view.account?.member.name}</p>
        </div>
        <div class="actions">
          <button
            type="button"
            class="icon-button"
            title={t().newConversation}
            aria-label={t().newConversation}
            onClick={() => props.onNew()}
          >
            <Icon name="plus" />
          </button>
          <Show when={session.lock.view()}>
            <button
              type="button"
              class="icon-button"
              title={t().lockNow}
              aria-label={t().lockNow}
              onClick={() => session.lock.shut()}
            >
              <Icon name="lock" />
            </button>
          </Show>
          <button
            type="button"
            class="icon-button"
            title={t().settings}
            aria-label={t().settings}
            onClick={() => go("/settings")}
          >
            <Icon name="settings" />
          </button>
        </div>
      </header>
      <ConnectionNote />
      <Reminder />
      <Show when={view.conversations.length > 0} fallback={<Empty onNew={props.onNew} />}>
        <label class="search">
          <Icon name="search" />
          <input
            class="input"
            type="search"
            placeholder={t().search}
            aria-label={t().searchConversations}
            value={search()}
            onInput={(event: InputEvent) => setSearch((event.target as HTMLInputElement).value)}
          />
        </label>
        <ul class="rows entries" onKeyDown={walk}>
          <For each={found()} fallback={<li class="empty">{t().nothingFound}</li>}>
            {(each) => <Entry conversation={each} current={each.id === props.current} />}
          </For>
        </ul>
      </Show>
    </nav>
  );
}
