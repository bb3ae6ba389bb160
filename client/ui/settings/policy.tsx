// Owns what the company decides about its messages: what holds, and for owner and admins changing it.

import { createSignal, type JSX, Show } from "solid-js";
import { LIMITS, type Policy } from "../../../schemas/policy.ts";
import { createAction } from "../action.ts";
import { formatDuration, t } from "../language.ts";
import { Choice } from "../parts/choice.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { ResidencyNote } from "../screens/sign-up.tsx";
import { useSession } from "../session.ts";
import { lifetimes } from "../timers.ts";

const DAY = 86_400_000;
const RETENTIONS = [DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 180 * DAY, LIMITS.maxRetention];

const nameDefault = (expiry: number | null): string => (expiry === null ? t().dataNoDefault : formatDuration(expiry));

/** Every lifetime there is, and the one that holds. */
const ladder = (current: number): readonly number[] => lifetimes(null, current);

function retentions(current: number): readonly number[] {
  return [...new Set([...RETENTIONS, current])].sort((a, b) => a - b);
}

function PolicyDialog(props: { policy: Policy; onClose: () => void }): JSX.Element {
  const { engine } = useSession();
  const before = props.policy;
  const [policy, setPolicy] = createSignal(before);
  const change = (next: Partial<Policy>): void => {
    setPolicy((now) => ({ ...now, ...next }));
  };
  const action = createAction();
  const contradiction = (): string | null => {
    const { minExpiry, maxExpiry, defaultExpiry } = policy();
    if (minExpiry > maxExpiry) return t().policyCrossed;
    const fits = defaultExpiry === null || (defaultExpiry >= minExpiry && defaultExpiry <= maxExpiry);
    return fits ? null : t().policyDefaultOutside;
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (contradiction() === null && (await action.run(() => engine.setPolicy(policy())))) props.onClose();
  };
  return (
    <Dialog title={t().policyTitle} onClose={props.onClose}>
      <form class="form" onSubmit={(event: Event) => void submit(event)}>
        <Choice
          label={t().policyRetention}
          values={retentions(before.retention)}
          name={formatDuration}
          value={policy().retention}
          onChange={(retention) => change({ retention })}
        />
        <p class="note">{t().policyRetentionHelp}</p>
        <Choice
          label={t().policyMin}
          values={ladder(before.minExpiry)}
          name={formatDuration}
          value={policy().minExpiry}
          onChange={(minExpiry) => change({ minExpiry })}
        />
        <Choice
          label={t().policyMax}
          values={ladder(before.maxExpiry)}
          name={formatDuration}
          value={policy().maxExpiry}
          onChange={(maxExpiry) => change({ maxExpiry })}
        />
        <Choice
          label={t().policyDefault}
          values={[null, ...ladder(before.defaultExpiry ?? before.minExpiry)]}
          name={nameDefault}
          value={policy().defaultExpiry}
          onChange={(defaultExpiry) => change({ defaultExpiry })}
        />
        <p class="note">{t().policyHelp}</p>
        <Problem text={contradiction() ?? action.problem()} />
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t().cancel}
          </button>
          <button type="submit" class="button primary" disabled={action.busy() || contradiction() !== null}>
            {action.busy() ? t().working : t().save}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

export function Data(): JSX.Element {
  const { view, manages } = useSession();
  const [changing, setChanging] = createSignal(false);
  const residency = () => view.account?.tenant.residency ?? "eu";
  return (
    <section class="card-section" aria-labelledby="data">
      <div class="section-head">
        <h2 id="data">{t().dataTitle}</h2>
        <Show when={manages() && view.policy !== null}>
          <button type="button" class="button" onClick={() => setChanging(true)}>
            <Icon name="pencil" />
            {t().policyChange}
          </button>
        </Show>
      </div>
      <dl class="facts-list">
        <dt>{t().dataPlace}</dt>
        <dd>{residency() === "eu" ? t().dataEu : t().dataGlobal}</dd>
        <Show when={view.policy}>
          {(policy) => (
            <>
              <dt>{t().dataRetention}</dt>
              <dd>{formatDuration(policy().retention)}</dd>
              <dt>{t().dataExpiry}</dt>
              <dd>{t().dataRange(formatDuration(policy().minExpiry), formatDuration(policy().maxExpiry))}</dd>
              <dt>{t().dataDefault}</dt>
              <dd>{nameDefault(policy().defaultExpiry)}</dd>
            </>
          )}
        </Show>
        <Show when={manages()}>
          <dt>{t().dataId}</dt>
          <dd>{view.account?.tenant.id}</dd>
        </Show>
      </dl>
      <p class="note">{t().dataNote}</p>
      <ResidencyNote residency={residency()} />
      <Show when={changing() && view.policy}>
        {(policy) => <PolicyDialog policy={policy()} onClose={() => setChanging(false)} />}
      </Show>
    </section>
  );
}
