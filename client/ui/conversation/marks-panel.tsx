// Owns how one's own devices treat a conversation: kept at the top of the list, and muted for a time or for good.

import { createUniqueId, For, type JSX, Show } from "solid-js";
import type { ConversationView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { formatDate, formatDuration, formatTime, t } from "../language.ts";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { PanelFrame } from "./panel.tsx";

const HOUR = 3_600_000;
/** How long one may mute, in ms; null for good. */
const SPANS = [HOUR, 8 * HOUR, 7 * 24 * HOUR, null] as const;

export function MarksPanel(props: { conversation: ConversationView }): JSX.Element {
  const { engine } = useSession();
  const action = createAction();
  const group = createUniqueId();
  const id = () => props.conversation.id;
  const until = () => props.conversation.muted?.until ?? null;
  const pin = (event: Event): void => {
    const { checked } = event.target as HTMLInputElement;
    void action.run(() => engine.pin(id(), checked));
  };
  const mute = (span: number | null): void => {
    void action.run(() => engine.mute(id(), span === null ? null : Date.now() + span));
  };
  return (
    <PanelFrame conversation={id()} title={t().marks}>
      <label class="choice">
        <input type="checkbox" checked={props.conversation.pinned} onChange={pin} />
        <span>{t().pin}</span>
      </label>
      <p class="note">{t().pinHelp}</p>
      <h3>{t().mute}</h3>
      <fieldset class="choices" disabled={action.busy()}>
        <legend class="hidden">{t().mute}</legend>
        <label class="choice">
          <input
            type="radio"
            name={group}
            checked={props.conversation.muted === null}
            onChange={() => void action.run(() => engine.unmute(id()))}
          />
          <span>{t().muteOff}</span>
        </label>
        <Show when={until()}>
          {(at) => (
            <label class="choice">
              <input type="radio" name={group} checked={true} />
              <span>{t().muteUntil(`${formatDate(at())}, ${formatTime(at())}`)}</span>
            </label>
          )}
        </Show>
        <For each={SPANS}>
          {(span) => (
            <label class="choice">
              <input
                type="radio"
                name={group}
                checked={span === null && props.conversation.muted !== null && until() === null}
                onChange={() => mute(span)}
              />
              <span>{span === null ? t().muteForGood : t().muteFor(formatDuration(span))}</span>
            </label>
          )}
        </For>
      </fieldset>
      <p class="note">{t().muteHelp}</p>
      <Problem text={action.problem()} />
      <p class="note">{t().marksNote}</p>
    </PanelFrame>
  );
}
