// Owns letting a further device in from one that is in: the code, the digits to compare, and what became of it.

import { createSignal, type JSX, Match, onCleanup, onMount, Show, Switch } from "solid-js";
import type { LinkingView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { useSecond } from "../clock.ts";
import { formatCountdown, t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Digits } from "../parts/digits.tsx";
import { Problem } from "../parts/problem.tsx";
import { Progress } from "../parts/progress.tsx";
import { QrCode } from "../parts/qr-code.tsx";
import { useSession } from "../session.ts";

type Of<Kind extends LinkingView["kind"]> = Extract<LinkingView, { kind: Kind }>;

function Code(props: { shown: Of<"shown"> }): JSX.Element {
  const second = useSecond();
  return (
    <>
      <p class="muted">{t().addDeviceLead}</p>
      <div class="device-code">
        <QrCode text={props.shown.address} label={t().addDeviceQr} />
        <p class="link-code">{props.shown.code}</p>
        <p class="note">{t().addDeviceUntil(formatCountdown(props.shown.expiresAt - second()))}</p>
      </div>
    </>
  );
}

function Compare(props: { answered: Of<"answered">; onNo: () => void }): JSX.Element {
  const { engine } = useSession();
  const action = createAction();
  return (
    <>
      <p>{t().addDeviceCompare(props.answered.name)}</p>
      <Digits text={props.answered.digits} label={t().linkDigits} />
      <Problem text={action.problem()} />
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={() => props.onNo()}>
          {t().addDeviceNo}
        </button>
        <button
          type="button"
          class="button primary"
          disabled={action.busy()}
          onClick={() => void action.run(() => engine.confirmLink())}
        >
          {t().addDeviceYes}
        </button>
      </footer>
    </>
  );
}

/** `onClose` is also told when the device is in. */
export function AddDevice(props: { onClose: () => void }): JSX.Element {
  const { engine, view } = useSession();
  const [refused, setRefused] = createSignal(false);
  const action = createAction();
  const offer = (): void => {
    setRefused(false);
    void action.run(() => engine.offerLink());
  };
  const of = <Kind extends LinkingView["kind"]>(kind: Kind) => {
    const now = view.linking;
    return now?.kind === kind ? (now as Of<Kind>) : undefined;
  };
  onMount(() => {
    if (of("handing") === undefined) offer();
  });
  // Once confirmed, it goes on without anybody watching
  onCleanup(() => {
    if (of("handing") === undefined) void engine.cancelLink();
  });
  const refuse = (): void => {
    setRefused(true);
    void engine.cancelLink();
  };
  const over = () => {
    const ended = of("over");
    if (refused()) return t().addDeviceRefused;
    if (ended === undefined) return action.problem();
    return ended.code === "not_found" ? t().linkOver : t().refusals[ended.code];
  };
  return (
    <Dialog title={t().addDevice} onClose={props.onClose}>
      <Switch fallback={<p class="muted">{t().working}</p>}>
        <Match when={of("shown")}>{(shown) => <Code shown={shown()} />}</Match>
        <Match when={of("answered")}>{(answered) => <Compare answered={answered()} onNo={refuse} />}</Match>
        <Match when={of("handing")}>
          {(handing) => (
            <>
              <p>{t().addDeviceHanding}</p>
              <Progress done={handing().done} total={handing().total} label={t().addDeviceHanding} />
            </>
          )}
        </Match>
        <Match when={of("handed")}>
          {(handed) => (
            <>
              <p role="status">{t().addDeviceDone(handed().name)}</p>
              <footer class="dialog-foot">
                <button type="button" class="button primary" onClick={() => props.onClose()}>
                  {t().done}
                </button>
              </footer>
            </>
          )}
        </Match>
        <Match when={over()}>
          <Problem text={over()} />
          <Show when={!action.busy()}>
            <footer class="dialog-foot">
              <button type="button" class="button" onClick={offer}>
                {t().addDeviceAgain}
              </button>
            </footer>
          </Show>
        </Match>
      </Switch>
    </Dialog>
  );
}
