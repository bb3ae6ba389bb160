// Owns what a person is told of being able to come back: the words, the backup behind them, and the way to the sheet.

import { createSignal, type JSX, Show } from "solid-js";
import { t } from "../language.ts";
import { Confirm } from "../parts/dialog.tsx";
import { useSession } from "../session.ts";
import { RecoverySheet } from "./recovery-sheet.tsx";

export function Recovery(): JSX.Element {
  const { view } = useSession();
  const [showing, setShowing] = createSignal(false);
  const [asking, setAsking] = createSignal(false);
  const phrase = () => view.safekeeping?.phrase ?? "none";
  const has = () => phrase() === "confirmed" || phrase() === "elsewhere";
  return (
    <section class="card-section" aria-labelledby="recovery">
      <h2 id="recovery">{t().keepTitle}</h2>
      <p class="muted">{t().keepLead}</p>
      <div class="section-head">
        <p role="status">
          {t().keepPhrase[phrase()]} {t().keepBackup[view.safekeeping?.backup ?? "none"]}
        </p>
        <Show
          when={has()}
          fallback={
            <button type="button" class="button" onClick={() => setShowing(true)}>
              {t().keepShow}
            </button>
          }
        >
          <button type="button" class="button" onClick={() => setAsking(true)}>
            {t().keepNew}
          </button>
        </Show>
      </div>
      <Show when={asking()}>
        <Confirm
          question={t().keepNewQuestion}
          help={t().keepNewHelp}
          confirm={t().keepNew}
          onConfirm={async () => setShowing(true)}
          onClose={() => setAsking(false)}
        />
      </Show>
      <Show when={showing()}>
        <RecoverySheet onClose={() => setShowing(false)} />
      </Show>
    </section>
  );
}
