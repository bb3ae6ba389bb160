// Owns the address bar: which screen the path names, and how to go elsewhere. It knows no view.

import { createSignal } from "solid-js";
import type { ConversationId } from "../../schemas/ids.ts";

export type Panel = "people" | "timer" | "encryption";

export type Route =
  | { readonly screen: "home" | "settings" | "join" }
  | { readonly screen: "conversation"; readonly id: ConversationId; readonly panel: Panel | null };

const CONVERSATION = /^\/c\/([\w-]{22})(?:\/(people|timer|encryption))?$/;

/** Reads a path; an unknown one is the home screen. */
function parse(path: string): Route {
  const [, id, panel] = CONVERSATION.exec(path) ?? [];
  if (id !== undefined) return { screen: "conversation", id: id as ConversationId, panel: (panel as Panel) ?? null };
  if (path === "/settings") return { screen: "settings" };
  return { screen: path === "/join" ? "join" : "home" };
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

/** The invite link that was opened last; null when the address had no secret in it. */
export { inviteLink };

/** Takes an invite link out of the address bar, so that its secret is in no history. */
function takeInviteLink(): void {
  if (route().screen !== "join" || location.hash.length < 2) return;
  setInviteLink(location.href);
  history.replaceState(history.state, "", location.pathname + location.search);
}

takeInviteLink();
// Another link pasted into the same tab loads no page.
addEventListener("hashchange", takeInviteLink);
