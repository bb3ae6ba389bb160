// Owns the sheet with the recovery words: shown, printed, and done with once three of them were entered again.

import { createResource, createSignal, createUniqueId, For, type JSX, Show } from "solid-js";
import { createAction } from "../action.ts";
import { explain, t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { QrCode } from "../parts/qr-code.tsx";
import { useSession } from "../session.ts";

/** Words that are asked for again. */
const ASKED = 3;

/** As many different places, from 1 to `count`, in order. */
function places(count: number): readonly number[] {
  const chosen = new Set<number>();
  while (chosen.size < Math.min(ASKED, count)) chosen.add(1 + Math.floor(Math.random() * count));
  return [...chosen].sort((a, b) => a - b);
}

function Words(props: { words: readonly string[]; onWritten: () => void }): JSX.Element {
  const { view } = useSession();
  return (
    <>
      <div class="sheet">
        <p class="sheet-head">{t().sheetFor(view.account?.member.name ?? "", view.account?.tenant.name ?? "")}</p>
        <p class="muted">{t().sheetLead}</p>
        <ol class="words">
          <For each={props.words}>{(word) => <li>{word}</li>}</For>
        </ol>
        <QrCode text={props.words.join(" ")} label={t().sheetQr} />
        <p class="note">{t().sheetHow}</p>
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={() => print()}>
          {t().sheetPrint}
        </button>
        <button type="button" class="button primary" onClick={() => props.onWritten()}>
          {t().sheetWritten}
        </button>
      </footer>
    </>
  );
}

function WordInput(props: { place: number; value: string; onChange: (value: string) => void }): JSX.Element {
  const id = createUniqueId();
  return (
    <div class="field">
      <label for={id}>{t().sheetPlace(props.place)}</label>
      <input
        id={id}
        class="input"
        type="text"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        value={props.value}
        onInput={(event: InputEvent) => props.onChange((event.target as HTMLInputElement).value)}
      />
    </div>
  );
}

function Check(props: { count: number; onRight: () => void; onBack: () => void }): JSX.Element {
  const { engine } = useSession();
  const asked = places(props.count);
  const [entered, setEntered] = createSignal<readonly string[]>(asked.map(() => ""));
  const [wrong, setWrong] = createSignal(false);
  const action = createAction();
  const submit = (event: Event): void => {
    event.preventDefault();
    setWrong(false);
    void action.run(async () => {
      const words = asked.map((place, index) => ({ place, word: entered()[index] ?? "" }));
      if (await engine.confirmWords(words)) props.onRight();
      else setWrong(true);
    });
  };
  return (
    <form class="form sheet-check" noValidate onSubmit={submit}>
      <p class="muted">{t().sheetConfirm}</p>
      <For each={asked}>
        {(place, index) => (
          <WordInput
            place={place}
            value={entered()[index()] ?? ""}
            onChange={(word) => setEntered(entered().with(index(), word))}
          />
        )}
      </For>
      <Problem text={wrong() ? t().sheetWrong : action.problem()} />
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={() => props.onBack()}>
          {t().sheetBack}
        </button>
        <button type="submit" class="button primary" disabled={action.busy()}>
          {t().sheetCheck}
        </button>
      </footer>
    </form>
  );
}

/** The sheet of the words not confirmed yet, or of new ones. */
export function RecoverySheet(props: { onClose: () => void }): JSX.Element {
  const { engine } = useSession();
  const [words] = createResource(() => engine.recoveryWords());
  const [checking, setChecking] = createSignal(false);
  const shown = () => (words.error === undefined ? words() : undefined);
  return (
    <Dialog title={t().sheetTitle} onClose={props.onClose}>
      <Show when={words.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <Show when={shown()} fallback={<p class="muted">{words.loading && t().working}</p>}>
        {(list) => (
          <Show when={checking()} fallback={<Words words={list()} onWritten={() => setChecking(true)} />}>
            <Check count={list().length} onRight={props.onClose} onBack={() => setChecking(false)} />
          </Show>
        )}
      </Show>
    </Dialog>
  );
}
