// Owns having a passkey made and entered: what to call it, the authenticator's turn, and what to do where it cannot be.

import { createSignal, type JSX, Show } from "solid-js";
import { isRefusal, REFUSALS } from "../../../schemas/refusal.ts";
import { createAction } from "../action.ts";
import { deviceName } from "../device-name.ts";
import { t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { createNameField, NameInput } from "../parts/field.tsx";
import { Problem } from "../parts/problem.tsx";
import { forgetPasskey, makePasskey, type PasskeyTrouble } from "../passkey.ts";
import { useSession } from "../session.ts";
import { RecoverySheet } from "./recovery-sheet.tsx";

export function AddPasskey(props: { onTried: () => void; onClose: () => void }): JSX.Element {
  const { engine, view } = useSession();
  const name = createNameField(deviceName());
  const action = createAction();
  const [trouble, setTrouble] = createSignal<PasskeyTrouble | null>(null);
  const [writing, setWriting] = createSignal(false);
  const add = async (name: string): Promise<void> => {
    const outcome = await makePasskey(await engine.offerPasskey());
    if (outcome.kind !== "done") {
      setTrouble(outcome.kind);
      return;
    }
    try {
      await engine.addPasskey({ name, made: outcome.value });
    } catch (error) {
      // What opens nothing should not be offered; a lost answer leaves open whether it does
      if (!isRefusal(error) || REFUSALS[error.code].remedy !== "retry") await forgetPasskey(outcome.value.credential);
      throw error;
    } finally {
      props.onTried();
    }
    props.onClose();
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    setTrouble(null);
    const checked = name.check();
    if (checked !== null) void action.run(() => add(checked));
  };
  const problem = (): string | null => {
    const kind = trouble();
    return kind === null ? action.problem() : t().passkeyTrouble[kind];
  };
  const mustWrite = () => trouble() !== null && view.safekeeping?.phrase === "unconfirmed";
  return (
    <Show when={!writing()} fallback={<RecoverySheet onClose={props.onClose} />}>
      <Dialog title={t().passkeyAdd} onClose={props.onClose}>
        <p class="muted">{t().passkeyAddLead}</p>
        <form class="form" noValidate onSubmit={submit}>
          <NameInput field={name} label={t().passkeyName} placeholder={deviceName()} autocomplete="off" />
          <Problem text={problem()} />
          <footer class="dialog-foot">
            <Show when={mustWrite()}>
              <button type="button" class="button" onClick={() => setWriting(true)}>
                {t().keepShow}
              </button>
            </Show>
            <button type="submit" class="button primary" disabled={action.busy()}>
              {action.busy() ? t().working : t().passkeyMake}
            </button>
          </footer>
        </form>
      </Dialog>
    </Show>
  );
}
