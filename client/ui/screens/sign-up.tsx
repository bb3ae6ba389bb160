// Owns the first visit: a company's name and one's own, nothing else.

import { type JSX, Show } from "solid-js";
import { createAction } from "../action.ts";
import { deviceName } from "../device-name.ts";
import { t } from "../language.ts";
import { createNameField, NameInput } from "../parts/field.tsx";
import { Problem } from "../parts/problem.tsx";
import { go } from "../route.ts";
import { useSession } from "../session.ts";
import { Frame } from "./frame.tsx";

/** Where the data will be kept, as this server can promise it. */
export function ResidencyNote(props: { residency: "eu" | "global" }): JSX.Element {
  const { view } = useSession();
  const promise = (): string | null => {
    if (view.residency === null) return null;
    if (props.residency === "global") return t().residencyGlobal;
    return view.residency === "simulated" ? t().residencySimulated : t().residencyEu;
  };
  return <Show when={promise()}>{(text) => <p class="note">{text()}</p>}</Show>;
}

export function SignUp(): JSX.Element {
  const { engine } = useSession();
  const organisation = createNameField();
  const name = createNameField();
  const action = createAction();
  const submit = (event: Event): void => {
    event.preventDefault();
    const names = { organisation: organisation.check(), name: name.check() };
    if (names.organisation === null || names.name === null) return;
    const input = { organisation: names.organisation, name: names.name, deviceName: deviceName() };
    void action.run(() => engine.signUp(input));
  };
  return (
    <Frame claim>
      <h1>{t().signUpTitle}</h1>
      <p class="muted">{t().signUpLead}</p>
      <form class="form" noValidate onSubmit={submit}>
        <NameInput
          field={organisation}
          label={t().organisation}
          placeholder={t().organisationExample}
          autocomplete="organization"
        />
        <NameInput field={name} label={t().yourName} placeholder={t().yourNameExample} autocomplete="name" />
        <Problem text={action.problem()} />
        <button type="submit" class="button primary wide" disabled={action.busy()}>
          {action.busy() ? t().working : t().signUp}
        </button>
      </form>
      <ResidencyNote residency="eu" />
      <p class="note">{t().joinHint}</p>
      <nav class="ways" aria-label={t().returning}>
        <button type="button" class="link-button" onClick={() => go("/link")}>
          {t().haveDevice}
        </button>
        <button type="button" class="link-button" onClick={() => go("/recover")}>
          {t().haveWords}
        </button>
      </nav>
    </Frame>
  );
}
