// Owns the choice of how long a conversation's new messages stay, within what the tenant allows.

import { createUniqueId, For, type JSX } from "solid-js";
import type { ConversationView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { formatDuration, t } from "../language.ts";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { lifetimes } from "../timers.ts";
import { PanelFrame } from "./panel.tsx";

export function TimerPanel(props: { conversation: ConversationView }): JSX.Element {
  const { engine, view } = useSession();
  const action = createAction();
  const group = createUniqueId();
  const current = () => props.conversation.expiresIn;
  const disabled = () => action.busy() || props.conversation.state !== "active";
  const choose = (value: number | null): void => {
    void action.run(() => engine.expire(props.conversation.id, value));
  };
  return (
    <PanelFrame conversation={props.conversation.id} title={t().timer}>
      <p class="muted">{t().timerLead}</p>
      <fieldset class="choices" disabled={disabled()}>
        <legend class="hidden">{t().timer}</legend>
        <For each={[null, ...lifetimes(view.policy, current())]}>
          {(each) => (
            <label class="choice">
              <input type="radio" name={group} checked={current() === each} onChange={() => choose(each)} />
              <span>{each === null ? t().timerOff : formatDuration(each)}</span>
            </label>
          )}
        </For>
      </fieldset>
      <Problem text={action.problem()} />
      <p class="note">{view.policy !== null && t().timerOffHelp(formatDuration(view.policy.retention))}</p>
      <p class="note">{t().timerNote}</p>
    </PanelFrame>
  );
}
