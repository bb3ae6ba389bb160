// Owns writing: a field that grows, Enter to send, a lifetime for this one message, and a draft for each conversation.

import { createEffect, createSignal, For, type JSX, on, onMount, Show } from "solid-js";
import type { ConversationId } from "../../../schemas/ids.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import type { ConversationView, Engine } from "../../engine/view.ts";
import { explain, formatDuration, t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { lifetimes } from "../timers.ts";
import { Hold } from "./hold.tsx";

/** A draft is safe in the engine's hands so long after the last key, in ms. */
const CALM = 400;

/** What was written since the page was loaded; before that the engine knows. */
const [drafts, setDrafts] = createSignal<ReadonlyMap<string, string>>(new Map());
const saving = new Map<string, ReturnType<typeof setTimeout>>();

/** The unsent text of a conversation, empty for none. */
export function draftOf({ id, draft }: ConversationView): string {
  return drafts().get(id) ?? draft;
}

/** Lets go of every draft in the page's memory; the engine's store has them. */
export function forgetDrafts(): void {
  setDrafts(new Map());
}

function setDraft(engine: Engine, conversation: ConversationId, text: string): void {
  setDrafts((before) => new Map(before).set(conversation, text));
  clearTimeout(saving.get(conversation));
  const save = (): void => {
    saving.delete(conversation);
    // Only what is not kept over a reload would be lost, and the text is on screen
    engine.keepDraft(conversation, text).catch(() => undefined);
  };
  saving.set(conversation, setTimeout(save, text === "" ? 0 : CALM));
}

/** `null` = as the conversation has it; a number = this many ms. */
function LifetimeChoice(props: {
  conversation: ConversationView;
  value: number | null;
  onChange: (value: number | null) => void;
}): JSX.Element {
  const { view } = useSession();
  const usual = (): string => {
    const { expiresIn } = props.conversation;
    return expiresIn === null ? t().timerDefaultOff : t().timerDefaultOn(formatDuration(expiresIn));
  };
  const choose = (event: Event): void => {
    const { value } = event.target as HTMLSelectElement;
    props.onChange(value === "" ? null : Number(value));
  };
  return (
    <label class="lifetime" classList={{ set: props.value !== null }} title={t().messageTimer}>
      <Icon name="clock" />
      <Show when={props.value}>{(value) => <span aria-hidden="true">{formatDuration(value())}</span>}</Show>
      <select aria-label={t().messageTimer} onChange={choose}>
        <option value="" selected={props.value === null}>
          {usual()}
        </option>
        <For each={lifetimes(view.policy)}>
          {(each) => (
            <option value={each} selected={props.value === each}>
              {formatDuration(each)}
            </option>
          )}
        </For>
      </select>
    </label>
  );
}

/** The field under a timeline. `onSent` runs when the text is safely in the engine's hands. */
export function Composer(props: { conversation: ConversationView; onSent: () => void }): JSX.Element {
  const session = useSession();
  const [failure, setFailure] = createSignal<{ error: unknown } | null>(null);
  const [lifetime, setLifetime] = createSignal<number | null>(null);
  let field: HTMLTextAreaElement | undefined;

  const id = () => props.conversation.id;
  const text = () => draftOf(props.conversation);
  const write = (conversation: ConversationId, next: string): void => setDraft(session.engine, conversation, next);
  const grow = (): void => {
    if (field === undefined) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  const send = (): void => {
    const written = text().trim();
    if (written === "" || props.conversation.state !== "active") return;
    const conversation = id();
    const expiresIn = lifetime() ?? undefined;
    write(conversation, "");
    setLifetime(null);
    setFailure(null);
    session.engine.send(conversation, written, expiresIn).then(
      () => props.onSent(),
      (error: unknown) => {
        setFailure({ error });
        if ((drafts().get(conversation) ?? "") === "") write(conversation, written);
      },
    );
  };
  const pressed = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  onMount(() => {
    // A phone would cover half the conversation with its keyboard.
    if (matchMedia("(hover: hover)").matches) field?.focus({ preventScroll: true });
  });
  createEffect(on(text, grow));

  return (
    <form
      class="composer"
      onSubmit={(event: Event) => {
        event.preventDefault();
        send();
      }}
    >
      <Show when={props.conversation.held}>{(hold) => <Hold hold={hold()} />}</Show>
      <Show when={failure()}>{(failed) => <Problem text={explain(failed().error)} />}</Show>
      <div class="composer-row">
        <LifetimeChoice conversation={props.conversation} value={lifetime()} onChange={setLifetime} />
        <textarea
          ref={field}
          class="input composer-field"
          rows="1"
          maxlength={LIMITS.textCharacters}
          placeholder={t().message}
          aria-label={t().messageTo(session.title(props.conversation))}
          value={text()}
          enterkeyhint="send"
          onInput={(event: InputEvent) => write(id(), (event.target as HTMLTextAreaElement).value)}
          onKeyDown={pressed}
        />
        <button type="submit" class="icon-button send" aria-label={t().send} disabled={text().trim() === ""}>
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}
