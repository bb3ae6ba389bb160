// Owns one's own devices: the list, and signing one out.

import { createResource, createSignal, For, type JSX, Show } from "solid-js";
import type { DeviceView } from "../../engine/view.ts";
import { explain, formatDate, t } from "../language.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";

export function Devices(): JSX.Element {
  const { engine } = useSession();
  const [devices, { refetch }] = createResource(() => engine.devices());
  const [revoking, setRevoking] = createSignal<DeviceView | null>(null);
  const revoke = async (device: DeviceView): Promise<void> => {
    await engine.revokeDevice(device.id);
    await refetch();
  };
  const list = () => (devices.error === undefined ? (devices.latest ?? []) : []);
  return (
    <section class="card-section" aria-labelledby="devices">
      <h2 id="devices">{t().devicesTitle}</h2>
      <Show when={devices.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <ul class="rows">
        <For each={list()} fallback={<li class="row-note">{devices.loading && t().loading}</li>}>
          {(device) => (
            <li class="row" classList={{ gone: device.revoked }}>
              <span class="row-main">
                <span class="row-title">{device.name}</span>
                <span class="row-note">
                  {device.own ? t().deviceThis : t().deviceUsed(formatDate(device.lastUsedAt))}
                </span>
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
        {(device) => (
          <Confirm
            question={t().deviceRevokeQuestion(device().name)}
            help={t().deviceRevokeHelp}
            confirm={t().deviceRevoke}
            onConfirm={() => revoke(device())}
            onClose={() => setRevoking(null)}
          />
        )}
      </Show>
    </section>
  );
}
