// Owns the frame of the panels beside a conversation: their head, and closing them.

import { type JSX, onMount } from "solid-js";
import type { ConversationId } from "../../../schemas/ids.ts";
import { t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
import { conversationPath, up } from "../route.ts";

/** A side panel; it takes the focus when it opens. */
export function PanelFrame(props: { conversation: ConversationId; title: string; children: JSX.Element }): JSX.Element {
  let head: HTMLHeadingElement | undefined;
  onMount(() => head?.focus({ preventScroll: true }));
  const close = (): void => up(conversationPath(props.conversation));
  return (
    <aside class="panel" aria-label={props.title}>
      <header class="pane-head">
        <button type="button" class="icon-button only-phone" aria-label={t().back} onClick={close}>
          <Icon name="back" />
        </button>
        <div class="pane-title">
          <h2 ref={head} tabindex="-1">
            {props.title}
          </h2>
        </div>
        <button type="button" class="icon-button not-phone" aria-label={t().close} onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="panel-body">{props.children}</div>
    </aside>
  );
}
