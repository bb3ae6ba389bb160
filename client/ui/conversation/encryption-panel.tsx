// Owns the plain explanation of how a conversation is encrypted: the only place of the client with cryptographic words.

import { createEffect, createSignal, For, type JSX, on, onCleanup, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import type { ConversationView, EncryptionView } from "../../engine/view.ts";
import { explain, t } from "../language.ts";
import { Avatar } from "../parts/avatar.tsx";
import { Icon } from "../parts/icon.tsx";
import { Problem } from "../parts/problem.tsx";
import { useSession } from "../session.ts";
import { PanelFrame } from "./panel.tsx";

interface Owner {
  readonly member: MemberId;
  readonly devices: number;
  readonly certified: boolean;
}

/** The devices, counted for each of their owners. */
function owners({ devices }: EncryptionView): readonly Owner[] {
  const counted = new Map<MemberId, Owner>();
  for (const { member, certified } of devices) {
    const before = counted.get(member);
    counted.set(member, {
      member,
      devices: (before?.devices ?? 0) + 1,
      certified: certified && (before?.certified ?? true),
    });
  }
  return [...counted.values()];
}

function Facts(props: { encryption: EncryptionView }): JSX.Element {
  const session = useSession();
  return (
    <>
      <h3>{t().encryptionCode}</h3>
      <p class="code">
        <For each={props.encryption.code.split(/\s+/)}>{(digits) => <span>{digits}</span>}</For>
      </p>
      <p class="note">{t().encryptionCodeHelp}</p>
      <h3>{t().encryptionDevices}</h3>
      <ul class="rows">
        <For each={owners(props.encryption)}>
          {(owner) => (
            <li class="row">
              <Avatar id={owner.member} name={session.member(owner.member)?.name ?? ""} />
              <span class="row-main">
                <span class="row-title">{session.name(owner.member)}</span>
                <span class="row-note" classList={{ warning: !owner.certified }}>
                  {t().devicesCount(owner.devices)} · {owner.certified ? t().deviceCertified : t().deviceUncertified}
                </span>
              </span>
              <Icon name={owner.certified ? "tick" : "alert"} class={owner.certified ? "good" : "warning"} />
            </li>
          )}
        </For>
      </ul>
      <h3>{t().encryptionDetails}</h3>
      <dl class="facts-list">
        <dt>{t().encryptionProtocol}</dt>
        <dd>{t().mls}</dd>
        <dt>{t().encryptionSuite}</dt>
        <dd class="breakable">{props.encryption.suite}</dd>
        <dt>{t().encryptionEpoch}</dt>
        <dd>{props.encryption.epoch}</dd>
      </dl>
    </>
  );
}

export function EncryptionPanel(props: { conversation: ConversationView }): JSX.Element {
  const { engine } = useSession();
  const [encryption, setEncryption] = createSignal<EncryptionView | null>(null);
  const [failure, setFailure] = createSignal<{ error: unknown } | null>(null);
  const ask = (): void => {
    engine.encryption(props.conversation.id).then(setEncryption, (error: unknown) => setFailure({ error }));
  };
  // Whoever comes or goes changes the code.
  createEffect(on(() => props.conversation.members.join(), ask));
  onCleanup(
    engine.on((event) => {
      if (event.type === "timeline" && event.conversation === props.conversation.id) ask();
    }),
  );
  return (
    <PanelFrame conversation={props.conversation.id} title={t().encryption}>
      <p>{t().encryptionLead}</p>
      <p class="muted">{t().encryptionRenewed}</p>
      <Show when={failure()}>{(failed) => <Problem text={explain(failed().error)} />}</Show>
      <Show when={encryption()}>{(now) => <Facts encryption={now()} />}</Show>
    </PanelFrame>
  );
}
