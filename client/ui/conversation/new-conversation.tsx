// Owns beginning a conversation: whom with, and for a group what it is called.

import { createSignal, type JSX, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { PeoplePicker } from "../parts/people-picker.tsx";
import { Problem } from "../parts/problem.tsx";
import { conversationPath, go } from "../route.ts";
import { useSession } from "../session.ts";

export function NewConversation(props: { onClose: () => void }): JSX.Element {
  const { engine } = useSession();
  const [chosen, setChosen] = createSignal<readonly MemberId[]>([]);
  const [title, setTitle] = createSignal("");
  const action = createAction();
  const start = (event: Event): void => {
    event.preventDefault();
    if (chosen().length === 0) return;
    void action.run(async () => {
      const id = await engine.create({ title: title().trim() || null, members: chosen() });
      props.onClose();
      go(conversationPath(id));
    });
  };
  return (
    <Dialog title={t().newConversation} onClose={props.onClose}>
      <form class="form" onSubmit={start}>
        <PeoplePicker without={[]} chosen={chosen()} onChange={setChosen} nobody={t().nobodyYet} />
        <Show when={chosen().length > 0}>
          <label class="field">
            <span>{t().titleOptional}</span>
            <input
              class="input"
              type="text"
              maxlength={LIMITS.nameCharacters}
              placeholder={t().titleExample}
              value={title()}
              onInput={(event: InputEvent) => setTitle((event.target as HTMLInputElement).value)}
            />
          </label>
        </Show>
        <Problem text={action.problem()} />
        <footer class="dialog-foot">
          <span class="muted grow">{chosen().length > 0 && t().chosen(chosen().length)}</span>
          <button type="submit" class="button primary" disabled={chosen().length === 0 || action.busy()}>
            {action.busy() ? t().working : t().startConversation}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
