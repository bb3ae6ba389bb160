// Owns one line of a timeline: a bubble with its time, state and countdown, or a quiet notice.

import { createMemo, For, type JSX, Match, Show, Switch } from "solid-js";
import type { ConversationView, MessageView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { minute, useSecond } from "../clock.ts";
import { dayOf, formatCountdown, formatDay, formatFull, formatTime, t } from "../language.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Icon } from "../parts/icon.tsx";
import { useSession } from "../session.ts";
import { place, splitLinks } from "./layout.ts";
import { noticeText } from "./notice.ts";

/** From here on a countdown asks for attention, in ms. */
const SOON = 3_600_000;

function Countdown(props: { expiresAt: number }): JSX.Element {
  const second = useSecond();
  const left = () => formatCountdown(props.expiresAt - second());
  const soon = () => props.expiresAt - second() < SOON;
  return (
    <span class="countdown" classList={{ soon: soon() }} title={t().expiresIn(left())}>
      <Icon name="clock" />
      <span class="hidden">{t().expiresIn("")}</span>
      <span>{left()}</span>
    </span>
  );
}

const STATE_ICONS = { waiting: "clock", sent: "tick", delivered: "double", failed: "alert", received: null } as const;

function State(props: { line: MessageView }): JSX.Element {
  const label = () => (props.line.state === "received" ? "" : t()[props.line.state]);
  return (
    <Show when={STATE_ICONS[props.line.state]}>
      {(name) => (
        <span class={`state ${props.line.state}`} title={label()}>
          <Show when={name()} keyed>
            {(icon) => <Icon name={icon} label={label()} />}
          </Show>
        </span>
      )}
    </Show>
  );
}

function Failed(props: { conversation: ConversationView; line: MessageView }): JSX.Element {
  const { engine } = useSession();
  const action = createAction();
  const reason = () => props.line.refusal ?? "internal";
  return (
    <div class="failed-line">
      <span>
        {t().failed}. {action.problem() ?? t().refusals[reason()]}
      </span>
      <button
        type="button"
        class="link-button"
        onClick={() => void action.run(() => engine.retry(props.conversation.id, props.line.key))}
      >
        {t().retry}
      </button>
      <button
        type="button"
        class="link-button"
        onClick={() => void action.run(() => engine.discard(props.conversation.id, props.line.key))}
      >
        {t().discard}
      </button>
    </div>
  );
}

function Text(props: { text: string }): JSX.Element {
  return (
    <For each={splitLinks(props.text)}>
      {(part) => (
        <Show when={part.link} fallback={part.text}>
          <a href={part.text} target="_blank" rel="noopener noreferrer">
            {part.text}
          </a>
        </Show>
      )}
    </For>
  );
}

function Bubble(props: {
  conversation: ConversationView;
  line: MessageView;
  leads: boolean;
  text: string;
}): JSX.Element {
  const session = useSession();
  const named = () => !props.line.mine && props.conversation.kind === "group";
  return (
    <div class="message" classList={{ mine: props.line.mine, leads: props.leads, named: named() }}>
      <Show when={named() && props.leads}>
        <Avatar id={props.line.from ?? ""} name={session.name(props.line.from)} size="small" />
      </Show>
      <div class="bubble">
        <Show when={props.leads} fallback={<span class="hidden">{session.name(props.line.from)}</span>}>
          <span class={named() ? "sender" : "hidden"}>{session.name(props.line.from)}</span>
        </Show>
        <p class="text">
          <Text text={props.text} />
        </p>
        <span class="meta">
          <Show when={props.line.expiresAt}>{(expiresAt) => <Countdown expiresAt={expiresAt()} />}</Show>
          <time datetime={new Date(props.line.at).toISOString()} title={formatFull(props.line.at)}>
            {formatTime(props.line.at)}
          </time>
          <State line={props.line} />
        </span>
      </div>
      <Show when={props.line.state === "failed"}>
        <Failed conversation={props.conversation} line={props.line} />
      </Show>
    </div>
  );
}

/** A line with the day above it when it is the first of its day, and the mark of the new ones. */
export function Line(props: {
  conversation: ConversationView;
  line: MessageView;
  before: MessageView | undefined;
  firstNew: boolean;
}): JSX.Element {
  const session = useSession();
  const placement = createMemo(() => place(props.line, props.before, dayOf));
  const body = () => props.line.body;
  const text = () => {
    const now = body();
    return now.kind === "text" ? now : undefined;
  };
  const notice = () => {
    const now = body();
    return now.kind === "text" ? undefined : now;
  };
  return (
    <li class="line" data-key={props.line.key}>
      <Show when={placement().newDay}>
        <p class="day">
          <time datetime={new Date(props.line.at).toISOString().slice(0, 10)}>
            {formatDay(props.line.at, minute())}
          </time>
        </p>
      </Show>
      <Show when={props.firstNew}>
        <p class="fresh">
          <span>{t().newMessages}</span>
        </p>
      </Show>
      <Switch>
        <Match when={text()}>
          {(now) => (
            <Bubble
              conversation={props.conversation}
              line={props.line}
              leads={placement().leads || props.firstNew}
              text={now().text}
            />
          )}
        </Match>
        <Match when={notice()}>
          {(now) => <p class="notice">{noticeText(now(), props.line, props.conversation.kind, session)}</p>}
        </Match>
      </Switch>
    </li>
  );
}
