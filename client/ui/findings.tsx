// Owns the lines that say, in one plain sentence each, that somebody plays tricks with keys. They stand above everything until taken note of.

import { For, type JSX, Show } from "solid-js";
import type { FindingView } from "../engine/view.ts";
import { t } from "./language.ts";
import { Icon } from "./parts/icon.tsx";
import { type Session, useSession } from "./session.ts";

function sentence({ kind, member }: FindingView, session: Session): string {
  const words = t();
  const own = member !== null && member === session.view.account?.member.id;
  if (kind === "ghost") return own ? words.findingGhostOwn : words.findingGhost(session.name(member));
  if (kind === "swapped") return own ? words.findingSwappedOwn : words.findingSwapped(session.name(member));
  if (kind === "unusable") return words.findingUnusable(session.name(member));
  if (kind === "unreadable") return words.findingUnreadable;
  if (kind === "rolled_back") return words.findingRolledBack;
  return member === null ? words.findingForked : words.findingForkedFrom(session.name(member));
}

export function Findings(): JSX.Element {
  const session = useSession();
  return (
    <Show when={session.view.findings.length > 0}>
      <div class="findings" role="alert">
        <For each={session.view.findings}>
          {(finding) => (
            <div class="finding">
              <Icon name="alert" />
              <p>{sentence(finding, session)}</p>
              <button type="button" class="button small" onClick={() => void session.engine.noteFinding(finding.id)}>
                {t().findingNote}
              </button>
            </div>
          )}
        </For>
      </div>
    </Show>
  );
}
