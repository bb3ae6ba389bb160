// Owns how one line of a timeline is written down: for a person and as JSON. Decides nothing about which lines are shown.

import type { MessageView, Notice, Snapshot } from "../engine/view.ts";
import { memberName } from "./choose.ts";
import { formatDuration } from "./duration.ts";
import { formatTime, type Paint, printable, printableLines } from "./terminal.ts";

/** A line of a timeline as `--json` prints it: texts have `text`, everything else `notice`. Times in ms since 1970. */
export function messageObject(snapshot: Snapshot, conversation: string, message: MessageView): object {
  const { key, seq, from, mine, at, body, state, refusal, expiresAt } = message;
  const shared = {
    conversation,
    key,
    seq,
    at,
    from: from === null ? null : { id: from, name: memberName(snapshot, from) },
    mine,
    state,
    refusal,
    expiresAt,
  };
  return body.kind === "text"
    ? { type: "message", ...shared, text: body.text }
    : { type: "notice", ...shared, notice: body };
}

function noticeSentence(snapshot: Snapshot, from: string | null, notice: Notice): string {
  const who = from === null ? "somebody" : printable(memberName(snapshot, from));
  switch (notice.kind) {
    case "created":
      return `${who} started the conversation`;
    case "added":
      // Whoever lets themselves in was added by nobody in particular
      return `${from === null ? "now here:" : `${who} added`} ${names(snapshot, notice.members)}`;
    case "removed":
      // Whoever was online first carried it out, so nobody is named
      return `no longer here: ${names(snapshot, notice.members)}`;
    case "left":
      return `${who} left`;
    case "contradicted":
      return `${who} has seen another history of this conversation than this device, or says so`;
    case "renewed":
      return "the encryption of this conversation was renewed";
    case "missed":
      return "the encryption of this conversation was renewed; something of what was written after that may be missing here";
    case "titled":
      return notice.title === null ? `${who} took the title away` : `${who} named it "${printable(notice.title)}"`;
    case "timer":
      return notice.expiresIn === null
        ? `${who} turned the timer off`
        : `${who} set the timer to ${formatDuration(notice.expiresIn)}`;
    case "rekeyed":
      return `${names(snapshot, [notice.member])} now has another key than before: invited anew, or somebody else in disguise. Ask before you go on`;
    case "unreadable":
      return "a message that cannot be read here";
  }
}

function names(snapshot: Snapshot, members: readonly string[]): string {
  const me = snapshot.account?.member.id;
  return members.map((member) => (member === me ? "you" : printable(memberName(snapshot, member)))).join(", ");
}

function marks({ state, refusal, expiresAt }: MessageView, now: number): string {
  const words: string[] = [];
  if (state === "failed") words.push(`not sent: ${refusal ?? "refused"}`);
  else if (state !== "received") words.push(state);
  if (expiresAt !== null) words.push(`gone in ${formatDuration(Math.max(1_000, expiresAt - now))}`);
  return words.length === 0 ? "" : `  [${words.join(", ")}]`;
}

/** A line of a timeline as a person reads it. `where` names the conversation when lines of several are mixed; `now` in ms. */
export function messageLines(input: {
  readonly snapshot: Snapshot;
  readonly message: MessageView;
  readonly paint: Paint;
  readonly now: number;
  readonly where?: string | null;
}): readonly string[] {
  const { snapshot, message, paint, now, where = null } = input;
  const who = message.from === null ? "somebody" : printable(memberName(snapshot, message.from));
  const head = paint("dim", formatTime(message.at)) + (where === null ? "" : `  ${paint("cyan", printable(where))}`);
  const { body } = message;
  if (body.kind !== "text") return [`${head}  ${paint("dim", `— ${noticeSentence(snapshot, message.from, body)}`)}`];
  const tail = marks(message, now);
  const [first = "", ...rest] = printableLines(body.text);
  const lines = [`${head}  ${paint("bold", `${who}:`)} ${first}`, ...rest.map((line) => `    ${line}`)];
  return lines.with(
    -1,
    (lines.at(-1) ?? "") + (tail === "" ? "" : paint(message.state === "failed" ? "red" : "dim", tail)),
  );
}
