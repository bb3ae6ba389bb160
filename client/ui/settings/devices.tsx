// Owns one's own devices: the list, adding one, what they are called, and signing one out.

import { createEffect, createResource, createSignal, For, type JSX, onCleanup, Show } from "solid-js";
import type { DeviceView } from "../../engine/view.ts";
import { createAction } from "../action.ts";
import { explain, formatDate, t } from "../language.ts";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { Progress } from "../parts/progress.tsx";
import { useSession } from "../session.ts";
import { AddDevice } from "./add-device.tsx";
import { RenameDevice } from "./rename-device.tsx";
import { RevokeDevice } from "./revoke-device.tsx";

/** How often it is looked whether an expected device is there, in ms. */
const LOOK_AGAIN = 2_000;

export function Devices(): JSX.Element {
  const { engine, view } = useSession();
  const [devices, { refetch }] = createResource(() => engine.devices());
  const [revoking, setRevoking] = createSignal<DeviceView | null>(null);
  const [renaming, setRenaming] = createSignal<DeviceView | null>(null);
  const [adding, setAdding] = createSignal(false);
  /** So many devices there will be. */
  const [expected, setExpected] = createSignal(0);
  const releasing = createAction();
  const release = async (device: DeviceView): Promise<void> => {
    await engine.releaseDevice(device.id);
    await refetch();
  };
  const list = () => (devices.error === undefined ? (devices.latest ?? []) : []);
  const closed = (): void => {
    // A device that was handed everything enters the list when it has introduced itself
    if (view.linking?.kind === "handed" || view.linking?.kind === "handing") setExpected(list().length + 1);
    setAdding(false);
  };
  createEffect(() => {
    if (list().length >= expected()) return;
    const timer = setInterval(() => void refetch(), LOOK_AGAIN);
    onCleanup(() => clearInterval(timer));
  });
  return (
    <section class="card-section" aria-labelledby="devices">
      <div class="section-head">
        <h2 id="devices">{t().devicesTitle}</h2>
        <button type="button" class="button" onClick={() => setAdding(true)}>
          <Icon name="plus" />
          {t().addDevice}
        </button>
      </div>
      <Show when={!adding() && view.linking?.kind === "handing" && view.linking}>
        {(handing) => (
          <div class="row-main">
            <p class="row-note">{t().addDeviceHanding}</p>
            <Progress done={handing().done} total={handing().total} label={t().addDeviceHanding} />
          </div>
        )}
      </Show>
      <Show when={devices.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <Problem text={releasing.problem()} />
      <ul class="rows">
        <For each={list()} fallback={<li class="row-note">{devices.loading && t().loading}</li>}>
          {(device) => (
            <li class="row" classList={{ gone: device.revoked }}>
              <Icon name={device.kind ?? "computer"} label={t().deviceKind[device.kind ?? "computer"]} />
              <span class="row-main">
                <span class="row-title">{device.name}</span>
                <Show when={device.lockedOut}>
                  <span class="row-note">{t().deviceLockedOut}</span>
                </Show>
                <span class="row-note">
                  {device.own ? t().deviceThis : t().deviceUsed(formatDate(device.lastUsedAt))}
                </span>
              </span>
              <Show when={!device.revoked} fallback={<span class="row-note">{t().deviceRevoked}</span>}>
                <Show
                  when={device.lockedOut}
                  fallback={
                    <button
                      type="button"
                      class="icon-button"
                      title={t().deviceRename(device.name)}
                      aria-label={t().deviceRename(device.name)}
                      onClick={() => setRenaming(device)}
                    >
                      <Icon name="pencil" />
                    </button>
                  }
                >
                  <button type="button" class="button small" onClick={() => void releasing.run(() => release(device))}>
                    {t().deviceRelease}
                  </button>
                </Show>
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
      <Show when={renaming()}>
        {(device) => (
          <RenameDevice device={device()} onRenamed={() => void refetch()} onClose={() => setRenaming(null)} />
        )}
      </Show>
      <Show when={adding()}>
        <AddDevice onClose={closed} />
      </Show>
    </section>
  );
}
