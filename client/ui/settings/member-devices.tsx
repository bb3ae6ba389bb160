// Owns another member's devices as owner and admins see them: which there are, and signing one out.

import { createResource, createSignal, For, type JSX, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import type { DeviceView } from "../../engine/view.ts";
import { explain, formatDate, t } from "../language.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { RevokeDevice } from "./revoke-device.tsx";

export function MemberDevices(props: { member: MemberId; onClose: () => void }): JSX.Element {
  const { engine, name } = useSession();
  const [devices, { refetch }] = createResource(() => engine.devices(props.member));
  const [revoking, setRevoking] = createSignal<DeviceView | null>(null);
  const list = () => (devices.error === undefined ? (devices.latest ?? []) : []);
  return (
    <Dialog title={t().memberDevices(name(props.member))} onClose={props.onClose}>
      <p class="muted">{t().memberDevicesLead}</p>
      <Show when={devices.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <ul class="rows">
        <For each={list()} fallback={<li class="row-note">{devices.loading && t().loading}</li>}>
          {(device) => (
            <li class="row" classList={{ gone: device.revoked }}>
              <Icon name={device.kind ?? "computer"} label={t().deviceKind[device.kind ?? "computer"]} />
              <span class="row-main">
                <span class="row-title">{device.name}</span>
                <span class="row-note">{t().deviceUsed(formatDate(device.lastUsedAt))}</span>
              </span>
              <Show when={!device.revoked} fallback={<span class="row-note">{t().deviceRevoked}</span>}>
                <button type="button" class="button small quiet-danger" onClick={() => setRevoking(device)}>
                  {t().deviceRevoke}
                </button>
              </Show>
            </li>
          )}
        </For>
      </ul>
      <Show when={revoking()}>
        {(device) => <RevokeDevice device={device()} onRevoked={refetch} onClose={() => setRevoking(null)} />}
      </Show>
    </Dialog>
  );
}
