// Owns the commands about conversations: listing and making them, who is in them, and how long their messages live.

import { LIMITS } from "../../schemas/policy.ts";
import type { ConversationView, Snapshot } from "../engine/view.ts";
import { chooseMember, conversationMeant, memberName, nameOf, shortId } from "./choose.ts";
import type { Command, Context } from "./command.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { Failure } from "./failure.ts";
import { formatTime, printable, table } from "./terminal.ts";
import { settled, until } from "./wait.ts";

/** A conversation as `--json` prints it; `name` is what commands take, title or not. Times in ms since 1970. */
function conversationObject(snapshot: Snapshot, view: ConversationView): object {
  return { type: "conversation", name: nameOf(snapshot, view), ...view };
}

export const conversations: Command = {
  usage: "",
  summary: "List your conversations: pinned ones first, then newest activity first",
  details: [],
  arity: [0, 0],
  options: [],
  profile: "account",
  async run(context) {
    await settled(context);
    const { engine, print } = context;
    const snapshot = engine.snapshot();
    for (const view of snapshot.conversations) print.json(conversationObject(snapshot, view));
    print.lines(
      ...table(
        ["CONVERSATION", "PEOPLE", "UNREAD", "TIMER", "MARKS", "ACTIVE", "STATE", "ID"],
        snapshot.conversations.map((view) => [
          nameOf(snapshot, view),
          String(view.members.length),
          view.unread > 0 ? String(view.unread) : "",
          view.expiresIn === null ? "" : formatDuration(view.expiresIn),
          marks(view),
          formatTime(view.activeAt),
          view.held?.reason === "outside" ? "outside" : view.state,
          shortId(view.id),
        ]),
      ),
    );
  },
};

function marks({ pinned, muted }: ConversationView): string {
  return [...(pinned ? ["pinned"] : []), ...(muted === null ? [] : ["muted"])].join(", ");
}

function report({ engine, print }: Context, id: string, sentence: (name: string) => string): void {
  const snapshot = engine.snapshot();
  const view = snapshot.conversations.find((conversation) => conversation.id === id);
  if (view === undefined) return;
  print.json(conversationObject(snapshot, view));
  print.lines(sentence(`"${printable(nameOf(snapshot, view))}"`));
}

export const create: Command = {
  usage: "[--title TITLE] MEMBER…",
  summary: "Start a conversation with one or more people",
  details: ["Two people without a title share one direct conversation; asking again gives the same one."],
  arity: [1, LIMITS.participants - 1],
  options: ["title"],
  profile: "account",
  async run(context) {
    const { engine, args, options } = context;
    await settled(context);
    const snapshot = engine.snapshot();
    const chosen = new Set(args.map((text) => chooseMember(snapshot, text).id));
    const members = [...chosen].filter((member) => member !== snapshot.account?.member.id);
    const id = await engine.create({ title: options.title ?? null, members });
    await settled(context);
    report(context, id, (name) => `Started ${name} (${id}).`);
  },
};

export const add: Command = {
  usage: "CONVERSATION MEMBER…",
  summary: "Bring people into a conversation",
  details: ["They read what is written from then on, not what was written before."],
  arity: [2, LIMITS.participants],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, args } = context;
    const { id } = await conversationMeant(context);
    const snapshot = engine.snapshot();
    const added = args.slice(1).map((text) => chooseMember(snapshot, text).id);
    await engine.add(id, [...new Set(added)]);
    await settled(context);
    const names = added.map((member) => printable(memberName(snapshot, member))).join(", ");
    report(context, id, (name) => `Added to ${name}: ${names}.`);
  },
};

export const remove: Command = {
  usage: "CONVERSATION MEMBER",
  summary: "Put somebody out of a conversation",
  details: ["From then on nothing new can be read by them. What they have read stays with them."],
  arity: [2, 2],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, args } = context;
    const { id, members } = await conversationMeant(context);
    const snapshot = engine.snapshot();
    const inside = snapshot.members.filter((member) => members.includes(member.id));
    const member = chooseMember({ ...snapshot, members: inside }, args[1] ?? "");
    await engine.remove(id, member.id);
    await settled(context);
    report(context, id, (name) => `${printable(member.name)} is no longer in ${name}.`);
  },
};

export const leave: Command = {
  usage: "CONVERSATION",
  summary: "Leave a conversation",
  details: [],
  arity: [1, 1],
  options: [],
  profile: "account",
  async run(context) {
    const { engine } = context;
    const { id } = await conversationMeant(context);
    await engine.leave(id);
    await until(
      context,
      () => engine.snapshot().conversations.every((view) => view.id !== id || view.state === "ended") || undefined,
    );
    report(context, id, (name) => `You have left ${name}.`);
  },
};

export const expire: Command = {
  usage: "CONVERSATION DURATION|off",
  summary: "Let new messages of a conversation destroy themselves after a time",
  details: [
    "From 10s to 4w, counted from the moment the server accepts a message. The server destroys the encrypted message,",
    "every device its text. Messages sent before keep the timer they had.",
  ],
  arity: [2, 2],
  options: [],
  profile: "account",
  async run(context) {
    const expiresIn = readTimer(context.args[1] ?? "");
    const { id } = await conversationMeant(context);
    await context.engine.expire(id, expiresIn);
    await settled(context);
    const sentence = expiresIn === null ? "stay" : `disappear after ${formatDuration(expiresIn)}`;
    report(context, id, (name) => `New messages in ${name} ${sentence}.`);
  },
};

/** Marks a conversation for all devices, and says so. */
async function mark(
  context: Context,
  { set, sentence }: { set: (id: ConversationView["id"]) => Promise<void>; sentence: (name: string) => string },
): Promise<void> {
  const { id } = await conversationMeant(context);
  await set(id);
  await settled(context);
  report(context, id, sentence);
}

const MARKING = { usage: "CONVERSATION", arity: [1, 1], options: [], profile: "account" } as const;

export const pin: Command = {
  ...MARKING,
  summary: "Keep a conversation at the top of the list, on all your devices",
  details: [],
  run: (context) =>
    mark(context, { set: (id) => context.engine.pin(id, true), sentence: (name) => `${name} stays at the top.` }),
};

export const unpin: Command = {
  ...MARKING,
  summary: "Let a conversation take its place in the list again",
  details: [],
  run: (context) =>
    mark(context, {
      set: (id) => context.engine.pin(id, false),
      sentence: (name) => `${name} stands where its activity puts it.`,
    }),
};

export const mute: Command = {
  ...MARKING,
  usage: "CONVERSATION [DURATION]",
  summary: "Mute a conversation on all your devices, for a time or until kuvert unmute",
  details: ["What is new in it is counted in its own line only, and announced nowhere."],
  arity: [1, 2],
  async run(context) {
    const [, text] = context.args;
    const duration = text === undefined ? null : parseDuration(text);
    await mark(context, {
      set: (id) => context.engine.mute(id, duration === null ? null : context.now() + duration),
      sentence: (name) =>
        duration === null ? `${name} is muted.` : `${name} is muted for ${formatDuration(duration)}.`,
    });
  },
};

export const unmute: Command = {
  ...MARKING,
  summary: "Hear of a muted conversation again",
  details: [],
  run: (context) =>
    mark(context, { set: (id) => context.engine.unmute(id), sentence: (name) => `${name} is no longer muted.` }),
};

/**
 * The timer a person asked for in ms; null for `off`.
 * @throws {Failure} usage — when it is no duration or outside what the product knows
 */
export function readTimer(text: string): number | null {
  if (text === "off") return null;
  const timer = parseDuration(text);
  if (timer < LIMITS.minExpiry || timer > LIMITS.maxExpiry) {
    throw new Failure("usage", "a timer is between 10s and 4w, or off");
  }
  return timer;
}
