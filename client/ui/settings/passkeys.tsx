// Owns one's own passkeys: the list, and taking one out. Says why there can be none where that is so.

import { createResource, createSignal, For, type JSX, Show } from "solid-js";
import type { PasskeyView } from "../../engine/view.ts";
import { explain, formatDate, t } from "../language.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { forgetPasskey, knowsPasskeys } from "../passkey.ts";
import { useSession } from "../session.ts";
import { AddPasskey } from "./add-passkey.tsx";

export function Passkeys(): JSX.Element {
  const { engine, view } = useSession();
  const [adding, setAdding] = createSignal(false);
  const [removing, setRemoving] = createSignal<PasskeyView | null>(null);
  const phrase = () => view.safekeeping?.phrase ?? "none";
  // With new words every passkey is gone
  const [passkeys, { refetch }] = createResource(phrase, () => engine.passkeys());
  const list = () => (passkeys.error === undefined ? (passkeys.latest ?? []) : []);
  const reason = (): string | null => {
    if (!knowsPasskeys()) return t().passkeyTrouble.unsupported;
    if (phrase() === "none") return t().passkeyFirstWords;
    return phrase() === "elsewhere" ? t().passkeyElsewhere : null;
  };
  const remove = async ({ id, credential }: PasskeyView): Promise<void> => {
    await engine.removePasskey(id);
    await Promise.all([refetch(), forgetPasskey(credential)]);
  };
  return (
    <section class="card-section" aria-labelledby="passkeys">
      <div class="section-head">
        <h2 id="passkeys">{t().passkeysTitle}</h2>
        <Show when={reason() === null}>
          <button type="button" class="button" onClick={() => setAdding(true)}>
            <Icon name="plus" />
            {t().passkeyAdd}
          </button>
        </Show>
      </div>
      <p class="muted">{t().passkeysLead}</p>
      <Show when={reason()}>{(text) => <p class="note">{text()}</p>}</Show>
      <Show when={passkeys.error}>{(error) => <Problem text={explain(error())} />}</Show>
      <Show when={list().length > 0}>
        <ul class="rows">
          <For each={list()}>
            {(passkey) => (
              <li class="row">
                <span class="row-main">
                  <span class="row-title">{passkey.name}</span>
                  <span class="row-note">
                    {t().passkeyMade(formatDate(passkey.createdAt))}
                    <Show when={passkey.usedAt}>{(at) => ` · ${t().deviceUsed(formatDate(at()))}`}</Show>
                  </span>
                </span>
                <button type="button" class="button small quiet-danger" onClick={() => setRemoving(passkey)}>
                  {t().remove}
                </button>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={adding()}>
        <AddPasskey onTried={() => void refetch()} onClose={() => setAdding(false)} />
      </Show>
      <Show when={removing()}>
        {(passkey) => (
          <Confirm
            question={t().passkeyRemoveQuestion(passkey().name)}
            help={t().passkeyRemoveHelp}
            confirm={t().remove}
            onConfirm={() => remove(passkey())}
            onClose={() => setRemoving(null)}
          />
        )}
      </Show>
    </section>
  );
}
