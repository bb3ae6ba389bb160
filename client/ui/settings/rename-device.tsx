// Owns giving one of one's devices another name.

import type { JSX } from "solid-js";
import type { DeviceView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { createNameField, NameInput } from "../parts/field.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";

export function RenameDevice(props: { device: DeviceView; onRenamed: () => void; onClose: () => void }): JSX.Element {
  const { engine } = useSession();
  const name = createNameField(props.device.name);
  const action = createAction();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const checked = name.check();
    if (checked === null || !(await action.run(() => engine.renameDevice(props.device.id, checked)))) return;
    props.onRenamed();
    props.onClose();
  };
  return (
    <Dialog title={t().deviceRenameTitle} onClose={props.onClose}>
      <form class="form" noValidate onSubmit={(event: Event) => void submit(event)}>
        <NameInput field={name} label={t().deviceNameField} placeholder={props.device.name} autocomplete="off" />
        <Problem text={action.problem()} />
        <footer class="dialog-foot">
          <button type="submit" class="button primary" disabled={action.busy()}>
            {t().save}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
