// Owns how people and conversations are named on the command line: by id, by name or title, or by the beginning of an id.

import type { ConversationView, MemberView, Snapshot } from "../engine/view.ts";
import type { Context } from "./command.ts";
import { Failure } from "./failure.ts";
import { settled } from "./wait.ts";

interface Named {
  readonly id: string;
  readonly name: string;
}

/** How much of an id the tables show. */
const SHOWN = 8;

/** The beginning of an id, as tables show it. */
export function shortId(id: string): string {
  return id.slice(0, SHOWN);
}

/**
 * The one candidate meant by `text`: its id, else its name, else its name whatever the case, else the beginning of its id.
 * @throws {Failure} ambiguous — when several are meant; unknown — when none is
 */
export function choose<Candidate extends Named>(
  what: string,
  candidates: readonly Candidate[],
  text: string,
): Candidate {
  const lower = text.toLocaleLowerCase();
  const tests: readonly ((candidate: Candidate) => boolean)[] = [
    ({ id }) => id === text,
    ({ name }) => name === text,
    ({ name }) => name.toLocaleLowerCase() === lower,
    ({ id }) => text !== "" && id.startsWith(text),
  ];
  for (const test of tests) {
    const [found, ...others] = candidates.filter(test);
    if (found === undefined) continue;
    if (others.length === 0) return found;
    const list = [found, ...others].map(({ id, name }) => `${name} ${id}`).join(", ");
    throw new Failure("ambiguous", `"${text}" may be any of: ${list}`);
  }
  throw new Failure("unknown", `there is no ${what} "${text}"`);
}

/**
 * The member meant by `text`, among those still there.
 * @throws {Failure} ambiguous, unknown — as {@link choose}
 */
export function chooseMember(snapshot: Snapshot, text: string): MemberView {
  return choose(
    "member",
    snapshot.members.filter(({ removed }) => !removed),
    text,
  );
}

/** What a conversation is called here: its title, else the names of the others in it. */
export function nameOf(snapshot: Snapshot, conversation: ConversationView): string {
  if (conversation.title !== null) return conversation.title;
  const others = conversation.members.filter((member) => member !== snapshot.account?.member.id);
  return others.map((member) => memberName(snapshot, member)).join(", ") || "(nobody else)";
}

/** A member's name, or the beginning of the id of somebody this device has not heard of. */
export function memberName(snapshot: Snapshot, member: string): string {
  return snapshot.members.find(({ id }) => id === member)?.name ?? shortId(member);
}

/**
 * The conversation meant by `text`: by id, title, or for an untitled one the names of the others.
 * @throws {Failure} ambiguous, unknown — as {@link choose}
 */
export function chooseConversation(snapshot: Snapshot, text: string): ConversationView {
  const candidates = snapshot.conversations.map((view) => ({ id: view.id, name: nameOf(snapshot, view), view }));
  return choose("conversation", candidates, text).view;
}

/**
 * Caught up with the server, and the member that the first argument means.
 * @throws {Failure} as {@link settled} and {@link choose}
 */
export async function memberMeant(context: Context): Promise<MemberView> {
  await settled(context);
  return chooseMember(context.engine.snapshot(), context.args[0] ?? "");
}

/**
 * Caught up with the server, and the conversation that the first argument means.
 * @throws {Failure} as {@link settled} and {@link choose}
 */
export async function conversationMeant(context: Context): Promise<ConversationView> {
  await settled(context);
  return chooseConversation(context.engine.snapshot(), context.args[0] ?? "");
}
