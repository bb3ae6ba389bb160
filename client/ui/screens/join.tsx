// Owns joining by an invite link: what the invite says, one's own name, and every way an invite can be no good.

import { createEffect, createSignal, type JSX, Match, on, Show, Switch } from "solid-js";
import { isRefusal, REFUSALS } from "../../../schemas/refusal.ts";
import type { InvitePreview } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { deviceName } from "../device-name.ts";
import { explain, t } from "../language.ts";
import { Avatar } from "../parts/avatar.tsx";
import { createNameField, NameInput } from "../parts/field.tsx";
import { Problem } from "../parts/problem.tsx";
import { go } from "../route.ts";
import { useSession } from "../session.ts";
import { Frame } from "./frame.tsx";
import { ResidencyNote } from "./sign-up.tsx";

type Look =
  | { readonly kind: "looking" | "missing" }
  | { readonly kind: "refused"; readonly error: unknown }
  | { readonly kind: "good"; readonly preview: InvitePreview };

function JoinForm(props: { link: string; preview: InvitePreview }): JSX.Element {
  const inviter = () => props.preview.inviter ?? t().theOperator;
  const { engine } = useSession();
  const name = createNameField();
  const action = createAction();
  const submit = (event: Event): void => {
    event.preventDefault();
    const checked = props.preview.returning ?? name.check();
    if (checked === null) return;
    const input = { link: props.link, name: checked, deviceName: deviceName() };
    void action.run(() => engine.join(input)).then((joined) => joined && go("/", { replace: true }));
  };
  return (
    <>
      <div class="join-head">
        <Avatar id={props.preview.organisation} name={props.preview.organisation} />
        <h1>
          {props.preview.returning === null
            ? t().joinTitle(props.preview.organisation)
            : t().returnTitle(props.preview.returning)}
        </h1>
      </div>
      <p class="muted">
        {props.preview.returning === null
          ? `${t().joinLead(inviter())} ${t().joinRole(t().asRole[props.preview.role])}`
          : t().returnLead(inviter(), props.preview.organisation)}
      </p>
      <form class="form" noValidate onSubmit={submit}>
        <Show when={props.preview.returning === null}>
          <NameInput field={name} label={t().yourName} placeholder={t().yourNameExample} autocomplete="name" />
        </Show>
        <Problem text={action.problem()} />
        <button type="submit" class="button primary wide" disabled={action.busy()}>
          {action.busy() ? t().working : props.preview.returning === null ? t().join : t().comeBack}
        </button>
      </form>
      <ResidencyNote residency={props.preview.residency} />
    </>
  );
}

/** An invite that cannot be looked at now may be good later; one that was refused for good will not. */
function Unusable(props: { error: unknown; onRetry: () => void }): JSX.Element {
  const code = () => (isRefusal(props.error) ? props.error.code : "internal");
  const hopeless = () => REFUSALS[code()].remedy === "give_up";
  const unknown = () => code() === "not_found" || code() === "malformed";
  return (
    <>
      <h1>{hopeless() ? t().inviteUnusable : t().inviteChecking}</h1>
      <Problem text={unknown() ? t().inviteUnknown : explain(props.error)} />
      <Show
        when={hopeless()}
        fallback={
          <button type="button" class="button wide" onClick={() => props.onRetry()}>
            {t().retry}
          </button>
        }
      >
        <p class="muted">{t().inviteUnusableHelp}</p>
      </Show>
    </>
  );
}

/** The screen behind an invite link. `link` null: the address had no secret in it. */
export function Join(props: { link: string | null }): JSX.Element {
  const { engine } = useSession();
  const [look, setLook] = createSignal<Look>({ kind: "looking" });
  const check = (): void => {
    const { link } = props;
    setLook({ kind: link === null ? "missing" : "looking" });
    if (link === null) return;
    engine.previewInvite(link).then(
      (preview) => setLook({ kind: "good", preview }),
      (error: unknown) => setLook({ kind: "refused", error }),
    );
  };
  createEffect(on(() => props.link, check));
  const of = <Kind extends Look["kind"]>(kind: Kind) => {
    const now = look();
    return now.kind === kind ? (now as Extract<Look, { kind: Kind }>) : undefined;
  };
  return (
    <Frame claim>
      <Switch fallback={<p class="muted">{t().inviteChecking}</p>}>
        <Match when={of("missing")}>
          <h1>{t().inviteUnusable}</h1>
          <p class="muted">{t().inviteMissing}</p>
        </Match>
        <Match when={of("refused")}>{(refused) => <Unusable error={refused().error} onRetry={check} />}</Match>
        <Match when={of("good")}>{(good) => <JoinForm link={props.link ?? ""} preview={good().preview} />}</Match>
      </Switch>
    </Frame>
  );
}

/** An invite link opened in a profile that belongs to somebody already. */
export function AlreadyIn(): JSX.Element {
  const { view } = useSession();
  return (
    <Frame>
      <h1>{t().alreadyIn}</h1>
      <p class="muted">
        {t().alreadyInLead(view.account?.member.name ?? "", view.account?.tenant.name ?? "")} {t().alreadyInHelp}
      </p>
      <button type="button" class="button primary wide" onClick={() => go("/", { replace: true })}>
        {t().toConversations}
      </button>
    </Frame>
  );
}
