// Owns the line over the field that says why nothing is sent for now, and the way to what a person can do about it.

import { createSignal, type JSX, Show, Suspense } from "solid-js";
import type { HoldView } from "../../engine/view.ts";
import { t } from "../language.ts";
import { later } from "../later.ts";
import { Icon } from "../parts/icon.tsx";
import { useSession } from "../session.ts";

const SafetyNumber = later(async () => (await import("./safety.tsx")).SafetyNumber);

export function Hold(props: { hold: HoldView }): JSX.Element {
  const session = useSession();
  const [looking, setLooking] = createSignal(false);
  const names = () => props.hold.members.map((member) => session.name(member)).join(", ");
  const text = () => {
    if (props.hold.reason === "outside") return t().holdOutside;
    return props.hold.reason === "changed" ? t().holdChanged(names()) : t().holdLeaving(names());
  };
  const first = () => (props.hold.reason === "changed" ? props.hold.members[0] : undefined);
  return (
    <div class="hold" role="status">
      <Icon name="alert" />
      <p>{text()}</p>
      <Show when={first()}>
        {(member) => (
          <>
            <button type="button" class="button small" onClick={() => setLooking(true)}>
              {t().holdLook}
            </button>
            <Show when={looking()}>
              <Suspense>
                <SafetyNumber member={member()} onClose={() => setLooking(false)} />
              </Suspense>
            </Show>
          </>
        )}
      </Show>
    </div>
  );
}
