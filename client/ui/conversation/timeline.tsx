// Owns the scrolling of a timeline: it stays with the newest line unless one has scrolled away, keeps its place when older lines
// come in above, and says where the unread ones begin.

import { createEffect, createSignal, For, type JSX, on, onCleanup, onMount, Show, untrack } from "solid-js";
import type { ConversationView } from "../../engine/view.ts";
import { explain, t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { firstUnread } from "./layout.ts";
import { Line } from "./line.tsx";
import { createLines } from "./lines.ts";

/** Pixels from an edge within which one counts as being there. */
const NEAR_END = 48;
const NEAR_START = 400;

/** Keeps the first visible line where it is while the page changes above it. */
function holdPlace(scroller: HTMLElement, change: () => void): void {
  const top = scroller.getBoundingClientRect().top;
  const lines = Array.from(scroller.querySelectorAll<HTMLElement>("[data-key]"));
  const anchor = lines.find((line) => line.getBoundingClientRect().bottom > top);
  const before = anchor?.getBoundingClientRect().top ?? 0;
  change();
  if (anchor?.isConnected === true) scroller.scrollTop += anchor.getBoundingClientRect().top - before;
}

/** Tells the engine that everything is read, whenever that is so and one can see it. */
function useReading(
  conversation: () => ConversationView,
  atEnd: () => boolean,
  onSeen: (unread: number) => void,
): void {
  const { engine } = useSession();
  const [visible, setVisible] = createSignal(document.visibilityState === "visible");
  const look = (): void => {
    setVisible(document.visibilityState === "visible");
  };
  document.addEventListener("visibilitychange", look);
  onCleanup(() => document.removeEventListener("visibilitychange", look));
  createEffect(() => {
    const { id, unread } = conversation();
    // Also when nothing is unread: the engine keeps the sockets of the conversations that were looked at last.
    if (visible() && atEnd()) engine.read(id).catch(() => undefined);
    else if (!visible() && unread > 0) onSeen(unread);
  });
}

/** The lines of one conversation. Made anew for each conversation. `sent` changes with every message sent here. */
export function Timeline(props: { conversation: ConversationView; sent: number }): JSX.Element {
  const session = useSession();
  const opened = untrack(() => props.conversation);
  const [atEnd, setAtEnd] = createSignal(true);
  const [firstNew, setFirstNew] = createSignal<string | null>(null);
  let unreadAtStart = opened.unread;
  let scroller: HTMLElement | undefined;
  let held = false;

  const toEnd = (): void => {
    if (scroller !== undefined) scroller.scrollTop = scroller.scrollHeight;
  };
  const markNew = (unread: number): void => {
    setFirstNew(firstUnread(lines.shown, unread));
  };
  /** The first lines came: begin at the unread ones where they do not all fit, else at the newest. */
  const begin = (): void => {
    if (unreadAtStart > 0) {
      markNew(unreadAtStart);
      unreadAtStart = 0;
    }
    toEnd();
    const mark = scroller?.querySelector<HTMLElement>(".fresh");
    if (mark && scroller && mark.offsetTop < scroller.scrollTop) scroller.scrollTop = mark.offsetTop - 8;
  };
  let begun = false;
  const lines = createLines(session.engine, opened.id, () => {
    if (!begun && lines.shown.length > 0) {
      begun = true;
      begin();
    } else if (atEnd()) toEnd();
  });
  useReading(() => props.conversation, atEnd, markNew);

  const around = (change: () => void): void => {
    if (scroller !== undefined) holdPlace(scroller, change);
  };
  const scrolled = (): void => {
    if (scroller === undefined) return;
    const { scrollTop, scrollHeight, clientHeight } = scroller;
    const end = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (end && lines.hasNewer()) lines.newer(around);
    setAtEnd(end && !lines.hasNewer());
    lines.follow(atEnd());
    if (scrollTop < NEAR_START && lines.hasOlder() && !held) {
      held = true;
      void lines.older(around).finally(() => {
        held = false;
      });
    }
  };
  const newest = (): void => {
    lines.toNewest();
    setAtEnd(true);
    toEnd();
  };
  onMount(() => {
    const sizes = new ResizeObserver(() => atEnd() && toEnd());
    if (scroller !== undefined) sizes.observe(scroller);
    onCleanup(() => sizes.disconnect());
  });
  createEffect(
    on(
      () => props.sent,
      () => {
        setFirstNew(null);
        newest();
      },
      { defer: true },
    ),
  );

  return (
    <div class="timeline">
      <section
        class="scroller"
        ref={scroller}
        aria-label={t().timeline(session.title(props.conversation))}
        tabindex="0"
        onScroll={scrolled}
      >
        <Show when={lines.failure()}>{(failure) => <Problem text={explain(failure())} />}</Show>
        <Show when={lines.ready() && lines.shown.length === 0 && lines.failure() === undefined}>
          <p class="empty">{t().firstMessage}</p>
        </Show>
        <ol class="lines">
          <For each={lines.shown}>
            {(line, index) => (
              <Line
                conversation={props.conversation}
                line={line}
                before={lines.shown[index() - 1]}
                firstNew={firstNew() === line.key}
              />
            )}
          </For>
        </ol>
      </section>
      <Show when={!atEnd()}>
        <button type="button" class="to-newest" aria-label={t().toNewest} onClick={newest}>
          <Icon name="down" />
          <Show when={props.conversation.unread > 0}>
            <span class="badge" aria-hidden="true">
              {props.conversation.unread}
            </span>
          </Show>
        </button>
      </Show>
    </div>
  );
}
