// Owns the commands about messages: sending one, reading what was said, and listening to what is said now.

import { LIMITS } from "../../schemas/policy.ts";
import type { ConversationView, MessageView, Snapshot } from "../engine/view.ts";
import { readCount } from "./account-commands.ts";
import { chooseConversation, conversationMeant, memberName, nameOf } from "./choose.ts";
import type { Command, Context } from "./command.ts";
import { readTimer } from "./conversation-commands.ts";
import { EXIT, Failure, refused } from "./failure.ts";
import { messageLines, messageObject } from "./message-form.ts";
import { printable } from "./terminal.ts";
import { settled, until } from "./wait.ts";

/** Lines of a timeline that are looked at in one go. */
const PAGE = 200;

/** Waits until caught up; hands back, rather than throws, that the server is away or slow. */
async function catchUp(context: Context): Promise<Failure | undefined> {
  try {
    await settled(context);
    return undefined;
  } catch (error) {
    if (error instanceof Failure && error.exit === EXIT.unreachable) return error;
    throw error;
  }
}

async function readText({ args, readInput }: Context): Promise<string> {
  const text = args[1] === "-" ? (await readInput()).replace(/\r?\n$/, "") : (args[1] ?? "");
  if (text === "") throw new Failure("usage", "there is no text to send");
  if (text.length > LIMITS.textCharacters) {
    throw new Failure(
      "usage",
      `a message holds at most ${LIMITS.textCharacters} characters; this one has ${text.length}`,
    );
  }
  return text;
}

/** @throws {Failure} key_changed — what waits, waits for a person to look at a changed key */
function refuseIfHeld(snapshot: Snapshot, id: ConversationView["id"]): void {
  const held = snapshot.conversations.find((conversation) => conversation.id === id)?.held;
  if (held?.reason !== "changed") return;
  const names = held.members.map((member) => printable(memberName(snapshot, member))).join(", ");
  const advice = "see kuvert verify, or kuvert accept";
  throw new Failure(
    "key_changed",
    `the key of ${names} has changed since you compared it; the message waits: ${advice}`,
  );
}

/** Waits until a message has left the outbox, or says that it waits there. */
async function stored(wait: {
  readonly context: Context;
  readonly id: ConversationView["id"];
  readonly key: string;
  readonly away: Failure | undefined;
}): Promise<MessageView> {
  const { context, id, key, away } = wait;
  try {
    if (away !== undefined) throw away;
    return await until(context, async () => {
      const newest = (await context.engine.timeline(id, { limit: PAGE })).find((message) => message.key === key);
      if (newest?.state === "waiting") refuseIfHeld(context.engine.snapshot(), id);
      return newest?.state === "waiting" ? undefined : newest;
    });
  } catch (error) {
    if (!(error instanceof Failure) || error.exit !== EXIT.unreachable) throw error;
    throw new Failure(error.code, `${error.message}; the message waits in the outbox`);
  }
}

export const send: Command = {
  usage: "CONVERSATION TEXT [--expires DURATION|off]",
  summary: "Send a message",
  details: [
    "TEXT - reads it from standard input. --expires 30s overrides the conversation's timer (10s to 4w, or off).",
    "Returns once the server has stored the message. When it cannot be reached, the message stays in the profile's",
    "outbox (exit code 3) and goes out with the next command: do not send it again. A refused one (1) is dropped.",
  ],
  arity: [2, 2],
  options: ["expires"],
  profile: "account",
  async run(context) {
    const { engine, options, print, args } = context;
    const expiresIn = options.expires === undefined ? undefined : readTimer(options.expires);
    const text = await readText(context);
    // The timer and the people in it may have changed; without a server, what is known here has to do
    const away = await catchUp(context);
    const { id } = chooseConversation(engine.snapshot(), args[0] ?? "");
    const key = await engine.send(id, text, expiresIn);
    const line = await stored({ context, id, key, away });
    if (line.state === "failed") {
      await engine.discard(id, key);
      throw refused(line.refusal ?? "internal");
    }
    const snapshot = engine.snapshot();
    print.json(messageObject(snapshot, id, line));
    const view = snapshot.conversations.find((conversation) => conversation.id === id);
    if (view !== undefined) print.lines(print.paint("dim", `Sent to ${nameOf(snapshot, view)}.`));
  },
};

export const history: Command = {
  usage: "CONVERSATION [--limit N]",
  summary: "Show what was said, oldest first",
  details: ["The newest 50 lines unless --limit says otherwise (up to 100000). Marks the conversation as read."],
  arity: [1, 1],
  options: ["limit"],
  profile: "account",
  async run(context) {
    const { engine, options, print, now } = context;
    const limit = readCount("--limit", options.limit ?? "50", 100_000);
    const { id } = await conversationMeant(context);
    const messages = await engine.timeline(id, { limit });
    const snapshot = engine.snapshot();
    for (const message of messages) print.json(messageObject(snapshot, id, message));
    print.lines(...messages.flatMap((message) => messageLines({ snapshot, message, paint: print.paint, now: now() })));
    await engine.read(id);
  },
};

/** Lines of a timeline, newest first. */
async function* backwards({ engine }: Context, conversation: ConversationView["id"]): AsyncGenerator<MessageView> {
  let page = await engine.timeline(conversation, { limit: PAGE });
  for (;;) {
    yield* page.toReversed();
    const [oldest] = page;
    if (oldest === undefined || page.length < PAGE) return;
    page = await engine.timeline(conversation, { limit: PAGE, before: oldest.key });
  }
}

/** Stored lines of a timeline after `seq`, oldest first. */
async function linesAfter(context: Context, conversation: ConversationView["id"], seq: number): Promise<MessageView[]> {
  const found: MessageView[] = [];
  for await (const line of backwards(context, conversation)) {
    if (line.seq === null) continue;
    if (line.seq <= seq) break;
    found.push(line);
  }
  return found.reverse();
}

/** The seq after which to begin listening: everything before the first message that has not been read. */
async function readUpTo(context: Context, view: ConversationView): Promise<number> {
  let unread = view.unread;
  for await (const line of backwards(context, view.id)) {
    if (line.seq === null) continue;
    if (unread === 0) return line.seq;
    if (line.body.kind === "text" && !line.mine) unread--;
  }
  return 0;
}

export const listen: Command = {
  usage: "[CONVERSATION]",
  summary: "Print every message as it comes, until interrupted",
  details: [
    "Begins with what has not been read yet, then prints each new line of one or all conversations once, in order,",
    "and marks it as read. A lost connection mends itself.",
  ],
  arity: [0, 1],
  options: [],
  profile: "account",
  async run(context) {
    const { engine, print, args, now } = context;
    const printed = new Map<string, number>();
    for (const view of engine.snapshot().conversations) printed.set(view.id, await readUpTo(context, view));
    let only: string | undefined;
    if (args[0] !== undefined) {
      only = (await conversationMeant(context)).id;
    }

    const show = async (view: ConversationView): Promise<void> => {
      const lines = await linesAfter(context, view.id, printed.get(view.id) ?? 0);
      const snapshot = engine.snapshot();
      for (const message of lines) {
        print.json(messageObject(snapshot, view.id, message));
        const where = only === undefined ? nameOf(snapshot, view) : null;
        print.lines(...messageLines({ snapshot, message, paint: print.paint, now: now(), where }));
        printed.set(view.id, message.seq ?? 0);
      }
      if (lines.length > 0) await engine.read(view.id);
    };
    const forever = { ...context, timeout: 2 ** 31 - 1 };
    await until(forever, async () => {
      for (const view of engine.snapshot().conversations) if (only === undefined || view.id === only) await show(view);
      return undefined;
    });
  },
};
