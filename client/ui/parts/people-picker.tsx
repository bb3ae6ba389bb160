// Owns choosing people from the company: a search and a list with boxes to tick.

import { createMemo, createSignal, For, type JSX, Show } from "solid-js";
import type { MemberId } from "../../../schemas/ids.ts";
import { language, t } from "../language.ts";
import { useSession } from "../session.ts";
import { Avatar } from "./avatar.tsx";
import { Icon } from "./icon.tsx";

/** A list of the company's members except `without` and oneself; `nobody` stands there when that leaves none. */
export function PeoplePicker(props: {
  without: readonly MemberId[];
  chosen: readonly MemberId[];
  onChange: (chosen: readonly MemberId[]) => void;
  nobody: string;
}): JSX.Element {
  const { view } = useSession();
  const [search, setSearch] = createSignal("");
  const candidates = createMemo(() =>
    view.members.filter(({ id, removed }) => !removed && id !== view.account?.member.id && !props.without.includes(id)),
  );
  const found = createMemo(() => {
    const wanted = search().trim().toLocaleLowerCase(language());
    return candidates().filter(({ name }) => name.toLocaleLowerCase(language()).includes(wanted));
  });
  const toggle = (id: MemberId): void => {
    const { chosen } = props;
    props.onChange(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  };
  return (
    <Show when={candidates().length > 0} fallback={<p class="empty">{props.nobody}</p>}>
      <label class="search">
        <Icon name="search" />
        <input
          class="input"
          type="search"
          placeholder={t().searchPeople}
          aria-label={t().searchPeople}
          value={search()}
          onInput={(event: InputEvent) => setSearch((event.target as HTMLInputElement).value)}
        />
      </label>
      <ul class="rows picker">
        <For each={found()} fallback={<li class="empty">{t().nothingFound}</li>}>
          {(member) => (
            <li>
              <label class="row pick">
                <Avatar id={member.id} name={member.name} />
                <span class="row-main">
                  <span class="row-title">{member.name}</span>
                  <Show when={member.role !== "member"}>
                    <span class="row-note">{t().role[member.role]}</span>
                  </Show>
                </span>
                <input type="checkbox" checked={props.chosen.includes(member.id)} onChange={() => toggle(member.id)} />
              </label>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}
