// Owns who is in a conversation: the list, adding, removing, leaving, and its name.

import { createSignal, For, type JSX, Match, Show, Suspense, Switch } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import { LIMITS } from "../../../schemas/policy.ts";
import type { ConversationView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { later } from "../later.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { PeoplePicker } from "../parts/people-picker.tsx";
import { Problem } from "../parts/problem.tsx";
import { go } from "../route.ts";
import { useSession } from "../session.ts";
import { PanelFrame } from "./panel.tsx";
import { SafetyNumber } from "./safety.tsx";

const MemberDevices = later(async () => (await import("../settings/member-devices.tsx")).MemberDevices);

type Asking = { readonly kind: "add" | "leave" } | { readonly kind: "remove"; readonly member: MemberId };

function AddPeople(props: { conversation: ConversationView; onClose: () => void }): JSX.Element {
  const { engine } = useSession();
  const [chosen, setChosen] = createSignal<readonly MemberId[]>([]);
  const action = createAction();
  const add = async (): Promise<void> => {
    if (await action.run(() => engine.add(props.conversation.id, chosen()))) props.onClose();
  };
  return (
    <Dialog title={t().addPeopleTitle} onClose={props.onClose}>
      <PeoplePicker
        without={props.conversation.members}
        chosen={chosen()}
        onChange={setChosen}
        nobody={t().everyoneIn}
      />
      <Problem text={action.problem()} />
      <footer class="dialog-foot">
        <span class="muted grow">{chosen().length > 0 && t().chosen(chosen().length)}</span>
        <button
          type="button"
          class="button primary"
          disabled={chosen().length === 0 || action.busy()}
          onClick={() => void add()}
        >
          {action.busy() ? t().working : t().addPeople}
        </button>
      </footer>
    </Dialog>
  );
}

function Rename(props: { conversation: ConversationView }): JSX.Element {
  const { engine } = useSession();
  const [title, setTitle] = createSignal(props.conversation.title ?? "");
  const action = createAction();
  const changed = () => title().trim() !== "" && title().trim() !== props.conversation.title;
  const save = (event: Event): void => {
    event.preventDefault();
    if (changed()) void action.run(() => engine.rename(props.conversation.id, title().trim()));
  };
  return (
    <form class="rename" onSubmit={save}>
      <label class="field">
        <span>{t().title}</span>
        <span class="with-button">
          <input
            class="input"
            type="text"
            maxlength={LIMITS.nameCharacters}
            placeholder={t().titleExample}
            value={title()}
            onInput={(event: InputEvent) => setTitle((event.target as HTMLInputElement).value)}
          />
          <button type="submit" class="button" disabled={!changed() || action.busy()}>
            {t().save}
          </button>
        </span>
      </label>
      <Problem text={action.problem()} />
    </form>
  );
}

function Person(props: {
  member: MemberId;
  conversation: ConversationView;
  onRemove: (() => void) | undefined;
}): JSX.Element {
  const session = useSession();
  const [comparing, setComparing] = createSignal(false);
  const [looking, setLooking] = createSignal(false);
  const role = () => session.member(props.member)?.role ?? "member";
  const facts = (): string => {
    const marks = role() === "member" ? [] : [t().role[role()]];
    if (props.conversation.createdBy === props.member) marks.push(t().creator);
    const key = session.member(props.member)?.key;
    if (key === "verified") marks.push(t().keyVerified);
    if (key === "changed") marks.push(t().keyChanged);
    return marks.join(" · ");
  };
  return (
    <li class="row">
      <Avatar id={props.member} name={session.member(props.member)?.name ?? ""} />
      <span class="row-main">
        <span class="row-title">
          {session.member(props.member)?.name ?? t().unknownPerson}
          <Show when={session.view.account?.member.id === props.member}>
            <span class="muted"> ({t().you})</span>
          </Show>
        </span>
        <Show when={facts()}>
          {(text) => (
            <span class="row-note" classList={{ warning: session.member(props.member)?.key === "changed" }}>
              {text()}
            </span>
          )}
        </Show>
      </span>
      <Show when={session.view.account?.member.id !== props.member}>
        <button
          type="button"
          class="icon-button"
          aria-label={t().safetyTitle(session.name(props.member))}
          title={t().safety}
          onClick={() => setComparing(true)}
        >
          <Icon name="lock" />
        </button>
      </Show>
      <Show when={session.manages() && role() !== "owner" && session.view.account?.member.id !== props.member}>
        <button
          type="button"
          class="icon-button"
          aria-label={t().memberDevices(session.name(props.member))}
          title={t().devicesOf}
          onClick={() => setLooking(true)}
        >
          <Icon name="computer" />
        </button>
      </Show>
      <Show when={props.onRemove}>
        <button
          type="button"
          class="icon-button"
          aria-label={t().removePerson(session.name(props.member))}
          title={t().remove}
          onClick={() => props.onRemove?.()}
        >
          <Icon name="close" />
        </button>
      </Show>
      <Show when={comparing()}>
        <SafetyNumber member={props.member} onClose={() => setComparing(false)} />
      </Show>
      <Show when={looking()}>
        <Suspense>
          <MemberDevices member={props.member} onClose={() => setLooking(false)} />
        </Suspense>
      </Show>
    </li>
  );
}

export function PeoplePanel(props: { conversation: ConversationView }): JSX.Element {
  const session = useSession();
  const [asking, setAsking] = createSignal<Asking | null>(null);
  const done = (): void => {
    setAsking(null);
  };
  const id = () => props.conversation.id;
  const active = () => props.conversation.state === "active";
  const group = () => props.conversation.kind === "group";
  const own = () => session.view.account?.member.id;
  const mayRemove = (member: MemberId): boolean =>
    active() && group() && member !== own() && (session.manages() || props.conversation.createdBy === own());
  const removing = () => {
    const now = asking();
    return now?.kind === "remove" ? now.member : undefined;
  };
  const leave = async (): Promise<void> => {
    await session.engine.leave(id());
    go("/", { replace: true });
  };
  return (
    <PanelFrame conversation={id()} title={t().people}>
      <Show when={active() && group()}>
        <Rename conversation={props.conversation} />
      </Show>
      <div class="section-head">
        <h3>{t().peopleCount(props.conversation.members.length)}</h3>
        <Show when={active() && group()}>
          <button type="button" class="button small" onClick={() => setAsking({ kind: "add" })}>
            <Icon name="plus" />
            {t().addPeople}
          </button>
        </Show>
      </div>
      <ul class="rows">
        <For each={props.conversation.members}>
          {(member) => (
            <Person
              member={member}
              conversation={props.conversation}
              onRemove={mayRemove(member) ? () => setAsking({ kind: "remove", member }) : undefined}
            />
          )}
        </For>
      </ul>
      <Show when={active() && group()}>
        <button type="button" class="button quiet-danger" onClick={() => setAsking({ kind: "leave" })}>
          <Icon name="leave" />
          {t().leave}
        </button>
      </Show>
      <Switch>
        <Match when={asking()?.kind === "add"}>
          <AddPeople conversation={props.conversation} onClose={done} />
        </Match>
        <Match when={removing()}>
          {(member) => (
            <Confirm
              question={t().removeQuestion(session.name(member()))}
              help={t().removeHelp}
              confirm={t().remove}
              onConfirm={() => session.engine.remove(id(), member())}
              onClose={done}
            />
          )}
        </Match>
        <Match when={asking()?.kind === "leave"}>
          <Confirm
            question={t().leaveQuestion}
            help={t().leaveHelp}
            confirm={t().leaveShort}
            onConfirm={leave}
            onClose={done}
          />
        </Match>
      </Switch>
    </PanelFrame>
  );
}
