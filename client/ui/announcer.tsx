// Owns what is said without being seen: new messages for screen readers, and the count in the tab's title.

import { createEffect, createSignal, type JSX, onCleanup } from "solid-js";
import type { ConversationId } from "../../schemas/ids.ts";
import { t } from "./language.ts";
import { useSession } from "./session.ts";

/** Speaks the text of a message in the conversation on screen, and only the sender's name otherwise; of muted ones elsewhere nothing. */
export function Announcer(props: { current: ConversationId | null }): JSX.Element {
  const session = useSession();
  const [said, setSaid] = createSignal("");
  onCleanup(
    session.engine.on((event) => {
      if (event.type !== "message" || event.message.body.kind !== "text") return;
      const name = session.name(event.message.from);
      const here = event.conversation === props.current;
      if (!here && session.conversation(event.conversation)?.muted != null) return;
      setSaid(here ? t().announce(name, event.message.body.text) : t().announceElsewhere(name));
    }),
  );
  createEffect(() => {
    const heard = session.view.conversations.filter(({ muted }) => muted === null);
    const unread = heard.reduce((sum, each) => sum + each.unread, 0);
    document.title = unread > 0 ? `(${unread}) ${t().product}` : t().product;
  });
  onCleanup(() => {
    document.title = t().product;
  });
  return (
    <p class="hidden" aria-live="polite">
      {said()}
    </p>
  );
}
