// Owns which panel stands beside a conversation. Loaded when the first one is opened.

import { type JSX, Match, Switch } from "solid-js";
import type { ConversationView } from "../../engine/view.ts";
import type { Panel } from "../route.ts";
import { EncryptionPanel } from "./encryption-panel.tsx";
import { MarksPanel } from "./marks-panel.tsx";
import { PeoplePanel } from "./people-panel.tsx";
import { TimerPanel } from "./timer-panel.tsx";

export function Panels(props: { conversation: ConversationView; panel: Panel }): JSX.Element {
  return (
    <Switch>
      <Match when={props.panel === "people"}>
        <PeoplePanel conversation={props.conversation} />
      </Match>
      <Match when={props.panel === "timer"}>
        <TimerPanel conversation={props.conversation} />
      </Match>
      <Match when={props.panel === "marks"}>
        <MarksPanel conversation={props.conversation} />
      </Match>
      <Match when={props.panel === "encryption"}>
        <EncryptionPanel conversation={props.conversation} />
      </Match>
    </Switch>
  );
}
