// Owns turning the app lock on or off and changing what opens it: a passphrase, or a passkey made for it. Whoever changes it shows what opens it now.

import { createSignal, createUniqueId, type JSX, Match, Show, Switch } from "solid-js";
import { isRefusal, REFUSALS } from "../../../schemas/refusal.ts";
import type { Opener } from "../../engine/seal/keys.ts";
import { PASSPHRASE_CHARACTERS } from "../../engine/seal/limits.ts";
import { createAction } from "../action.ts";
import { explain, formatCountdown, t } from "../language.ts";
import { askLockPasskey, makeLockPasskey } from "../lock-passkey.ts";
import { Dialog } from "../parts/dialog.tsx";
import { PassphraseInput } from "../parts/passphrase.tsx";
import { Problem } from "../parts/problem.tsx";
import { Segments } from "../parts/segments.tsx";
import { forgetPasskey, knowsPasskeys } from "../passkey.ts";
import { useSession } from "../session.ts";

/** Unless told otherwise, in minutes. */
const SHUTS_AFTER = 5;

const KINDS = ["passphrase", "passkey"] as const;
type Kind = (typeof KINDS)[number];

/** What a person wants of the lock. */
export type Intent = "on" | "change" | "off";
type Failure = { readonly error: unknown } | { readonly sentence: string };

/** What went wrong with what opens the lock now, in words of the lock. */
function problemOf(error: unknown, present: Kind): string {
  if (!isRefusal(error)) return explain(error);
  const words = present === "passkey" ? t().guardedPasskey : t().guardedPassphrase;
  const { reason, left, retryAfter } = error.detail;
  if (reason === "wrong") return words.wrong(Number(left));
  if (reason === "locked") return words.out;
  return reason === "passphrase" ? t().guardedWait(formatCountdown(Number(retryAfter))) : explain(error);
}

export function LockDialog(props: { intent: Intent; onClose: () => void }): JSX.Element {
  const { lock, view } = useSession();
  const { minutes, passkey: present } = lock.view() ?? { minutes: SHUTS_AFTER, passkey: null };
  const [currentId, firstId, secondId] = [createUniqueId(), createUniqueId(), createUniqueId()];
  const [current, setCurrent] = createSignal("");
  const [first, setFirst] = createSignal("");
  const [second, setSecond] = createSignal("");
  const [kind, setKind] = createSignal<Kind>("passphrase");
  const [checked, setChecked] = createSignal(false);
  const [failure, setFailure] = createSignal<Failure | null>(null);
  const action = createAction();
  const isShort = () => first().length < PASSPHRASE_CHARACTERS;
  const isOther = () => first() !== second();

  /** What opens it now; undefined when its passkey did not answer. */
  const showCurrent = async (): Promise<Opener | undefined> => {
    if (present === null) return current();
    const outcome = await askLockPasskey(present);
    if (outcome.kind === "done") return outcome.value;
    setFailure({ sentence: t().guardedTrouble[outcome.kind] });
    return undefined;
  };
  /** What shall open it; undefined when no passkey was made. */
  const makeNext = async (): Promise<Opener | undefined> => {
    if (kind() === "passphrase") return first();
    const outcome = await makeLockPasskey(t().lockPasskeyName(view.account?.member.name ?? ""));
    if (outcome.kind === "done") return outcome.value;
    setFailure({ sentence: t().lockTrouble[outcome.kind] });
    if (outcome.kind !== "off") setKind("passphrase");
    return undefined;
  };
  const guard = async (opener: Opener, current: Opener | null): Promise<void> => {
    try {
      await lock.guard({ opener, minutes, current });
    } catch (error) {
      // What opens nothing should not be offered; a lost answer leaves open whether it does
      const isOpen = isRefusal(error) && REFUSALS[error.code].remedy === "retry";
      if (typeof opener !== "string" && !isOpen) await forgetPasskey(opener.credential);
      throw error;
    }
  };
  const change = async (): Promise<void> => {
    const current = props.intent === "on" ? null : await showCurrent();
    if (current === undefined) return;
    if (current !== null && props.intent === "off") await lock.unguard(current);
    else {
      const opener = await makeNext();
      if (opener === undefined) return;
      await guard(opener, current);
    }
    if (present !== null) await forgetPasskey(present.credential);
    props.onClose();
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    setChecked(true);
    if (props.intent !== "off" && kind() === "passphrase" && (isShort() || isOther())) return;
    setFailure(null);
    void action.run(() => change().catch((error) => setFailure({ error })));
  };
  const problem = () => {
    const failed = failure();
    if (failed === null) return null;
    return "sentence" in failed
      ? failed.sentence
      : problemOf(failed.error, present === null ? "passphrase" : "passkey");
  };
  const label = () => ({ on: t().lockOn, change: t().lockChange, off: t().lockOff })[props.intent];
  return (
    <Dialog title={label()} onClose={props.onClose}>
      <form class="form" noValidate onSubmit={submit}>
        <Show when={props.intent !== "on"}>
          <Show when={present === null} fallback={<p class="note">{t().lockCurrentPasskey}</p>}>
            <PassphraseInput
              id={currentId}
              label={t().passphraseCurrent}
              value={current()}
              onInput={setCurrent}
              autocomplete="current-password"
            />
          </Show>
        </Show>
        <Show when={props.intent !== "off" && knowsPasskeys()}>
          <Segments label={t().lockBy} values={KINDS} names={t().lockKinds} value={kind()} onChange={setKind} />
        </Show>
        <Switch>
          <Match when={props.intent !== "off" && kind() === "passphrase"}>
            <PassphraseInput
              id={firstId}
              label={t().passphraseNew}
              value={first()}
              onInput={setFirst}
              autocomplete="new-password"
              problem={checked() && isShort() ? t().passphraseShort(PASSPHRASE_CHARACTERS) : null}
            />
            <PassphraseInput
              id={secondId}
              label={t().passphraseAgain}
              value={second()}
              onInput={setSecond}
              autocomplete="new-password"
              problem={checked() && !isShort() && isOther() ? t().passphraseOther : null}
            />
            <p class="note">{t().lockForgetting}</p>
          </Match>
          <Match when={props.intent !== "off"}>
            <p class="note">{t().lockPasskeyLead}</p>
            <p class="note">{t().lockLosing}</p>
          </Match>
        </Switch>
        <Problem text={problem()} />
        <footer class="dialog-foot">
          <button type="submit" class="button primary" disabled={action.busy()}>
            {action.busy() ? t().working : label()}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
