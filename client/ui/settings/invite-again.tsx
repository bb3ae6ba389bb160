// Owns inviting a member anew who has lost everything: what that means, and the link to hand over.

import { createSignal, type JSX, Show } from "solid-js";
import type { MemberView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { Ready } from "./invites.tsx";

const WEEK = 7 * 86_400_000;

export function InviteAgain(props: { member: MemberView; onClose: () => void }): JSX.Element {
  const { engine } = useSession();
  const [link, setLink] = createSignal<string | null>(null);
  const action = createAction();
  const make = (): void => {
    void action.run(async () => setLink(await engine.inviteAgain(props.member.id, WEEK)));
  };
  return (
    <Dialog title={t().inviteAgainTitle(props.member.name)} onClose={props.onClose}>
      <Show
        when={link()}
        fallback={
          <>
            <p class="muted">{t().inviteAgainHelp(props.member.name)}</p>
            <Problem text={action.problem()} />
            <footer class="dialog-foot">
              <button type="button" class="button" onClick={() => props.onClose()}>
                {t().cancel}
              </button>
              <button type="button" class="button primary" disabled={action.busy()} onClick={make}>
                {action.busy() ? t().working : t().inviteCreate}
              </button>
            </footer>
          </>
        }
      >
        {(made) => <Ready link={made()} />}
      </Show>
    </Dialog>
  );
}
