// Owns the list of the company's people, and for owner and admins what each may do and whether they stay.

import { createSignal, createUniqueId, For, type JSX, Show } from "solid-js";
import type { MemberView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { InviteAgain } from "./invite-again.tsx";

const ROLES = ["member", "admin"] as const;
type Given = (typeof ROLES)[number];

function EditMember(props: {
  member: MemberView;
  onReturn: () => void;
  onRemove: () => void;
  onClose: () => void;
}): JSX.Element {
  const { engine } = useSession();
  const action = createAction();
  const group = createUniqueId();
  const [role, setRole] = createSignal<Given>(props.member.role === "admin" ? "admin" : "member");
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (await action.run(() => engine.setRole(props.member.id, role()))) props.onClose();
  };
  return (
    <Dialog title={props.member.name} onClose={props.onClose}>
      <form class="form" onSubmit={(event: Event) => void submit(event)}>
        <fieldset class="choices" disabled={action.busy()}>
          <legend class="hidden">{t().inviteRole}</legend>
          <For each={ROLES}>
            {(each) => (
              <label class="choice">
                <input type="radio" name={group} checked={role() === each} onChange={() => setRole(each)} />
                <span>
                  {t().role[each]}
                  <span class="note choice-note">{t().roleHelp[each]}</span>
                </span>
              </label>
            )}
          </For>
        </fieldset>
        <button type="button" class="link-button" onClick={() => props.onReturn()}>
          {t().inviteAgain} …
        </button>
        <Problem text={action.problem()} />
        <footer class="dialog-foot spread">
          <button type="button" class="button quiet-danger" onClick={() => props.onRemove()}>
            {t().remove} …
          </button>
          <button type="submit" class="button primary" disabled={action.busy()}>
            {action.busy() ? t().working : t().save}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

export function Members(): JSX.Element {
  const { view, engine, manages } = useSession();
  const [editing, setEditing] = createSignal<MemberView | null>(null);
  const [again, setAgain] = createSignal<MemberView | null>(null);
  const [removing, setRemoving] = createSignal<MemberView | null>(null);
  const present = () => view.members.filter(({ removed }) => !removed);
  const own = () => view.account?.member.id;
  const mayChange = ({ id, role, removed }: MemberView): boolean =>
    manages() && !removed && role !== "owner" && id !== own();
  const inviteAgain = (): void => {
    setAgain(editing());
    setEditing(null);
  };
  const askToRemove = (): void => {
    setRemoving(editing());
    setEditing(null);
  };
  return (
    <section class="card-section" aria-labelledby="members">
      <div class="section-head">
        <h2 id="members">{t().membersTitle}</h2>
        <span class="muted">{t().peopleCount(present().length)}</span>
      </div>
      <ul class="rows">
        <For each={view.members}>
          {(member) => (
            <li class="row" classList={{ gone: member.removed }}>
              <Avatar id={member.id} name={member.name} />
              <span class="row-main">
                <span class="row-title">
                  {member.name}
                  <Show when={member.id === own()}>
                    <span class="muted"> ({t().you})</span>
                  </Show>
                </span>
              </span>
              <span class="row-note">{member.removed ? t().gone : t().role[member.role]}</span>
              <Show when={mayChange(member)}>
                <button
                  type="button"
                  class="icon-button"
                  title={t().memberEdit(member.name)}
                  aria-label={t().memberEdit(member.name)}
                  onClick={() => setEditing({ ...member })}
                >
                  <Icon name="pencil" />
                </button>
              </Show>
            </li>
          )}
        </For>
      </ul>
      <Show when={editing()}>
        {(member) => (
          <EditMember
            member={member()}
            onReturn={inviteAgain}
            onRemove={askToRemove}
            onClose={() => setEditing(null)}
          />
        )}
      </Show>
      <Show when={again()}>{(member) => <InviteAgain member={member()} onClose={() => setAgain(null)} />}</Show>
      <Show when={removing()}>
        {(member) => (
          <Confirm
            question={t().memberRemoveQuestion(member().name)}
            help={t().memberRemoveHelp}
            confirm={t().remove}
            onConfirm={() => engine.removeMember(member().id)}
            onClose={() => setRemoving(null)}
          />
        )}
      </Show>
    </section>
  );
}
