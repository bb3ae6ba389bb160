// Owns the address bar: which screen the path names, and how to go elsewhere. It knows no view.

import { createSignal } from "solid-js";
import type { ConversationId } from "../../schemas/ids.ts";

export type Panel = "people" | "timer" | "marks" | "encryption";

export type Route =
  | { readonly screen: "home" | "settings" | "join" | "link" | "recover" }
  | { readonly screen: "conversation"; readonly id: ConversationId; readonly panel: Panel | null };

const CONVERSATION = /^\/c\/([\w-]{22})(?:\/(people|timer|marks|encryption))?$/;

const SCREENS = ["settings", "join", "link", "recover"] as const;

/** Reads a path; an unknown one is the home screen. */
function parse(path: string): Route {
  const [, id, panel] = CONVERSATION.exec(path) ?? [];
  if (id !== undefined) return { screen: "conversation", id: id as ConversationId, panel: (panel as Panel) ?? null };
  const screen = SCREENS.find((each) => path === `/${each}`);
  return { screen: screen ?? "home" };
}

const [route, setRoute] = createSignal<Route>(parse(location.pathname));

export { route };

addEventListener("popstate", () => setRoute(parse(location.pathname)));

/** The path of a conversation, with one of its panels open. */
export function conversationPath(id: ConversationId, panel: Panel | null = null): string {
  return panel === null ? `/c/${id}` : `/c/${id}/${panel}`;
}

/** Goes to a path of this application. */
export function go(path: string, { replace = false } = {}): void {
  if (path === location.pathname) return;
  if (replace) history.replaceState(history.state, "", path);
  else history.pushState({ from: location.pathname }, "", path);
  setRoute(parse(path));
}

/** Goes one level up, as the browser's own back button would when that is where one came from. */
export function up(path: string): void {
  if ((history.state as { from?: string } | null)?.from === path) history.back();
  else go(path, { replace: true });
}

const [inviteLink, setInviteLink] = createSignal<string | null>(null);
const [deviceLink, setDeviceLink] = createSignal<string | null>(null);

/** The link that was opened last, to join or to become a further device; null when the address had no secret in it. */
export { deviceLink, inviteLink };

/** Takes a link out of the address bar, so that its secret is in no history. */
function takeLink(): void {
  const { screen } = route();
  if ((screen !== "join" && screen !== "link") || location.hash.length < 2) return;
  (screen === "join" ? setInviteLink : setDeviceLink)(location.href);
  history.replaceState(history.state, "", location.pathname + location.search);
}

takeLink();
// Another link pasted into the same tab loads no page.
addEventListener("hashchange", takeLink);
