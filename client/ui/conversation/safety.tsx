// Owns the safety number of one other person: how their key stands, the number to compare out loud, the code to scan, and what follows from it.

import { createResource, createSignal, For, type JSX, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import type { SafetyView, ScanOutcome } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { explain, formatDate, t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { QrCode } from "../parts/qr-code.tsx";
import { canScan, Scanner } from "../parts/scanner.tsx";
import { useSession } from "../session.ts";

function State(props: { safety: SafetyView; name: string }): JSX.Element {
  const sentence = (): string => {
    const { verifiedAt, since, state } = props.safety;
    if (verifiedAt !== null) return t().safetyVerified(formatDate(verifiedAt));
    return state === "changed" ? "" : t().safetySince(formatDate(since));
  };
  const changed = (): string | null => {
    const { state, since, wasVerified } = props.safety;
    if (state !== "changed") return null;
    return wasVerified
      ? t().safetyChangedVerified(props.name, formatDate(since))
      : t().safetyChanged(props.name, formatDate(since));
  };
  return (
    <>
      <Problem text={props.safety.contradicted ? t().safetyContradicted : null} />
      <Problem text={changed()} />
      <Show when={sentence()}>{(text) => <p role="status">{text()}</p>}</Show>
    </>
  );
}

/** The own code beside the way to scan the other one's, where there is a camera that can. */
function Codes(props: { safety: SafetyView; name: string; onScan: (text: string) => void }): JSX.Element {
  const [isAble] = createResource(canScan);
  const [scanning, setScanning] = createSignal(false);
  const found = (text: string): void => {
    setScanning(false);
    props.onScan(text);
  };
  return (
    <div class="safety-codes">
      <Show when={scanning()} fallback={<QrCode text={props.safety.code} label={t().safetyCode(props.name)} />}>
        <Scanner onFound={found} />
      </Show>
      <p class="muted">{t().safetyCodeHelp(props.name)}</p>
      <Show when={isAble()}>
        <button type="button" class="button small" onClick={() => setScanning(!scanning())}>
          {scanning() ? t().safetyShowCode : t().safetyScan}
        </button>
      </Show>
    </div>
  );
}

export function SafetyNumber(props: { member: MemberId; onClose: () => void }): JSX.Element {
  const session = useSession();
  const [safety, { refetch }] = createResource(() => session.engine.safety(props.member));
  const [scanned, setScanned] = createSignal<ScanOutcome | null>(null);
  const action = createAction();
  const name = () => session.name(props.member);
  const known = () => (safety.error === undefined ? safety.latest : undefined);
  const mark = (isVerified: boolean): void => {
    setScanned(null);
    void action.run(async () => {
      await session.engine.verify(props.member, isVerified);
      await refetch();
    });
  };
  const scan = (text: string): void => {
    void action.run(async () => {
      setScanned(await session.engine.scanSafety(props.member, text));
      await refetch();
    });
  };
  const mismatch = (): string | null => {
    const outcome = scanned();
    return outcome === null || outcome === "match" ? null : t().safetyScanned[outcome];
  };
  return (
    <Dialog title={t().safetyTitle(name())} onClose={props.onClose}>
      <Show when={safety.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <Show when={known()} fallback={<p class="muted">{safety.loading && t().loading}</p>}>
        {(now) => (
          <>
            <State safety={now()} name={name()} />
            <p class="muted">{t().safetyLead}</p>
            <div class="safety-number">
              <For each={now().number.match(/.{5}/g) ?? []}>{(group) => <span>{group}</span>}</For>
            </div>
            <Codes safety={now()} name={name()} onScan={scan} />
            <Problem text={mismatch()} />
            <Problem text={action.problem()} />
            <footer class="dialog-foot">
              <Show when={now().state === "changed"}>
                <button type="button" class="button" disabled={action.busy()} onClick={() => mark(false)}>
                  {t().safetyAccept}
                </button>
              </Show>
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
