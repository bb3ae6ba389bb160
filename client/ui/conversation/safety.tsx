// Owns the safety number of one other person: to be compared out loud, and marked as compared.

import { createResource, For, type JSX, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import { createAction } from "../action.ts";
import { explain, formatDate, t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";

export function SafetyNumber(props: { member: MemberId; onClose: () => void }): JSX.Element {
  const session = useSession();
  const [safety, { refetch }] = createResource(() => session.engine.safety(props.member));
  const action = createAction();
  const known = () => (safety.error === undefined ? safety.latest : undefined);
  const mark = (isVerified: boolean): void => {
    void action.run(async () => {
      await session.engine.verify(props.member, isVerified);
      await refetch();
    });
  };
  return (
    <Dialog title={t().safetyTitle(session.name(props.member))} onClose={props.onClose}>
      <Show when={safety.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <Show when={known()} fallback={<p class="muted">{safety.loading && t().loading}</p>}>
        {(now) => (
          <>
            <Problem text={now().contradicted ? t().safetyContradicted : null} />
            <p class="muted">{t().safetyLead}</p>
            <div class="safety-number">
              <For each={now().number.match(/.{5}/g) ?? []}>{(group) => <span>{group}</span>}</For>
            </div>
            <p role="status">
              <Show when={now().verifiedAt} fallback={t().safetySince(formatDate(now().since))}>
                {(at) => t().safetyVerified(formatDate(at()))}
              </Show>
            </p>
            <Problem text={action.problem()} />
            <footer class="dialog-foot">
              <Show
                when={now().verifiedAt === null}
                fallback={
                  <button type="button" class="button" disabled={action.busy()} onClick={() => mark(false)}>
                    {t().safetyUnverify}
                  </button>
                }
              >
                <button type="button" class="button primary" disabled={action.busy()} onClick={() => mark(true)}>
                  {t().safetyVerify}
                </button>
              </Show>
            </footer>
          </>
        )}
      </Show>
    </Dialog>
  );
}
