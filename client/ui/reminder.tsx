// Owns the line that asks a person to write the recovery words down, for as long as that has not happened.

import { createSignal, type JSX, Show, Suspense } from "solid-js";
import { t } from "./language.ts";
import { later } from "./later.ts";
import { useSession } from "./session.ts";

const RecoverySheet = later(async () => (await import("./settings/recovery-sheet.tsx")).RecoverySheet);

export function Reminder(): JSX.Element {
  const { view } = useSession();
  const [showing, setShowing] = createSignal(false);
  const missing = () => view.safekeeping?.phrase === "none" || view.safekeeping?.phrase === "unconfirmed";
  return (
    <>
      <Show when={missing()}>
        <aside class="reminder">
          <p>{t().keepReminder}</p>
          <button type="button" class="link-button" onClick={() => setShowing(true)}>
            {t().keepShow}
          </button>
        </aside>
      </Show>
      <Show when={showing()}>
        <Suspense>
          <RecoverySheet onClose={() => setShowing(false)} />
        </Suspense>
      </Show>
    </>
  );
}
