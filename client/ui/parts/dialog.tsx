// Owns modal dialogs: the browser's own <dialog>, which keeps the focus inside and gives it back.

import { type JSX, onCleanup, onMount, Show } from "solid-js";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { Icon } from "./icon.tsx";
import { Problem } from "./problem.tsx";

/** A modal dialog that is open for as long as it exists. `onClose`: Escape, the cross, or a click beside it. */
export function Dialog(props: { title: string; onClose: () => void; children: JSX.Element }): JSX.Element {
  let dialog: HTMLDialogElement | undefined;
  onMount(() => dialog?.showModal());
  onCleanup(() => dialog?.close());
  const cancel = (event: Event): void => {
    event.preventDefault();
    props.onClose();
  };
  return (
    // The browser turns Escape into `cancel`; a click on the element itself can only have hit its backdrop.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way
    <dialog
      ref={dialog}
      class="dialog"
      aria-label={props.title}
      onCancel={cancel}
      onClick={(event: MouseEvent) => event.target === dialog && props.onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2>{props.title}</h2>
          <button type="button" class="icon-button" aria-label={t().close} onClick={() => props.onClose()}>
            <Icon name="close" />
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be taken back. */
export function Confirm(props: {
  question: string;
  help: string;
  confirm: string;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}): JSX.Element {
  const action = createAction();
  const confirm = async (): Promise<void> => {
    if (await action.run(props.onConfirm)) props.onClose();
  };
  return (
    <Dialog title={props.question} onClose={props.onClose}>
      <p class="muted">{props.help}</p>
      <Problem text={action.problem()} />
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={() => props.onClose()}>
          {t().cancel}
        </button>
        <button type="button" class="button danger" disabled={action.busy()} onClick={() => void confirm()}>
          <Show when={action.busy()} fallback={props.confirm}>
            {t().working}
          </Show>
        </button>
      </footer>
    </Dialog>
  );
}
