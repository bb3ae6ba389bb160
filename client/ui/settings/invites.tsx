// Owns the company's invites: making one, handing its link over, and withdrawing what is still open.

import { createResource, createSignal, For, type JSX, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import type { InviteView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { minute } from "../clock.ts";
import { explain, formatDate, formatDuration, t } from "../language.ts";
import { Choice } from "../parts/choice.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { QrCode } from "../parts/qr-code.tsx";
import { useSession } from "../session.ts";

const HOUR = 3_600_000;
const ROLES = ["member", "admin"] as const;
const USES = [1, 5, 10, 50];
const EXPIRIES = [HOUR, 24 * HOUR, 7 * 24 * HOUR, 28 * 24 * HOUR];

/** A link that is ready to be handed over. */
export function Ready(props: { link: string }): JSX.Element {
  const [copied, setCopied] = createSignal(false);
  const copy = (): void => {
    navigator.clipboard.writeText(props.link).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <div class="invite-ready">
      <QrCode text={props.link} label={t().inviteQr} />
      <div class="invite-link">
        <p class="row-title">{t().inviteReady}</p>
        <p class="note">{t().inviteReadyHelp}</p>
        <div class="with-button">
          <input
            class="input"
            type="text"
            readonly
            value={props.link}
            aria-label={t().inviteLink}
            onFocus={(event: FocusEvent) => (event.target as HTMLInputElement).select()}
          />
          <button type="button" class="button" onClick={copy}>
            <Icon name={copied() ? "tick" : "copy"} />
            <span aria-live="polite">{copied() ? t().copied : t().copy}</span>
          </button>
        </div>
      </div>
    </div>
  );
}

function NewInvite(props: { onMade: () => void }): JSX.Element {
  const { engine } = useSession();
  const [role, setRole] = createSignal<(typeof ROLES)[number]>("member");
  const [uses, setUses] = createSignal(1);
  const [expiresIn, setExpiresIn] = createSignal(7 * 24 * HOUR);
  const [link, setLink] = createSignal<string | null>(null);
  const action = createAction();
  const make = (event: Event): void => {
    event.preventDefault();
    void action.run(async () => {
      setLink(await engine.invite({ role: role(), uses: uses(), expiresIn: expiresIn() }));
      props.onMade();
    });
  };
  return (
    <>
      <form class="invite-form" onSubmit={make}>
        <Choice
          label={t().inviteRole}
          values={ROLES}
          name={(each) => t().role[each]}
          value={role()}
          onChange={setRole}
        />
        <Choice label={t().inviteUses} values={USES} name={t().inviteUsesCount} value={uses()} onChange={setUses} />
        <Choice
          label={t().inviteExpiry}
          values={EXPIRIES}
          name={formatDuration}
          value={expiresIn()}
          onChange={setExpiresIn}
        />
        <button type="submit" class="button primary" disabled={action.busy()}>
          {action.busy() ? t().working : t().inviteCreate}
        </button>
      </form>
      <Problem text={action.problem()} />
      <Show when={link()}>{(made) => <Ready link={made()} />}</Show>
    </>
  );
}

/** Why an invite is no longer good, or null while it is. */
function over(invite: InviteView, now: number): string | null {
  if (invite.revoked) return t().inviteRevoked;
  if (invite.usesLeft === 0) return t().inviteUsedUp;
  return invite.expiresAt <= now ? t().inviteOver : null;
}

function Entry(props: { invite: InviteView; onRevoked: () => void }): JSX.Element {
  const session = useSession();
  const { engine } = session;
  const action = createAction();
  const revoke = async (): Promise<void> => {
    if (await action.run(() => engine.revokeInvite(props.invite.id))) props.onRevoked();
  };
  const facts = () => {
    const { usesLeft, expiresAt, byOperator } = props.invite;
    const all = [t().inviteLeft(usesLeft), t().inviteUntil(formatDate(expiresAt))];
    return (byOperator ? [...all, t().theOperator] : all).join(" · ");
  };
  // Not "you": the owner sees the link for the owner, too
  const nameOf = (member: MemberId) =>
    session.view.members.find(({ id }) => id === member)?.name ?? session.name(member);
  const reason = () => over(props.invite, minute());
  return (
    <li class="row" classList={{ gone: reason() !== null }}>
      <span class="row-main">
        <span class="row-title">
          {props.invite.member === null ? t().role[props.invite.role] : t().inviteAgainFor(nameOf(props.invite.member))}
        </span>
        <span class="row-note">{action.problem() ?? reason() ?? facts()}</span>
      </span>
      <Show when={reason() === null}>
        <button type="button" class="button small quiet-danger" disabled={action.busy()} onClick={() => void revoke()}>
          {t().inviteRevoke}
        </button>
      </Show>
    </li>
  );
}

export function Invites(): JSX.Element {
  const { engine } = useSession();
  const [invites, { refetch }] = createResource(() => engine.invites());
  const list = () => (invites.error === undefined ? (invites.latest ?? []) : []);
  const again = (): void => {
    void refetch();
  };
  return (
    <section class="card-section" aria-labelledby="invites">
      <h2 id="invites">{t().invitesTitle}</h2>
      <p class="muted">{t().invitesLead}</p>
      <NewInvite onMade={again} />
      <Show when={invites.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <ul class="rows">
        <For each={list()} fallback={<li class="row-note">{invites.loading ? t().loading : t().inviteNone}</li>}>
          {(invite) => <Entry invite={invite} onRevoked={again} />}
        </For>
      </ul>
    </section>
  );
}
