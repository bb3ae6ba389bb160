// Owns how lines become a page: where a day begins, whose lines stand together, where the new ones start. Pure.

import type { MemberId } from "../../../schemas/ids.ts";
import type { MessageView } from "../../engine/view.ts";

const TOGETHER = 5 * 60_000;

/** How a line stands to the one before it. */
export interface Placement {
  readonly newDay: boolean;
  /** First of a run of texts by the same person within five minutes. */
  readonly leads: boolean;
}

/** The placement of a line after another; `dayOf` gives the day of a time. */
export function place(line: MessageView, before: MessageView | undefined, dayOf: (at: number) => number): Placement {
  if (before === undefined) return { newDay: true, leads: true };
  const newDay = dayOf(line.at) !== dayOf(before.at);
  const together =
    !newDay && before.body.kind === "text" && before.from === line.from && Math.abs(line.at - before.at) < TOGETHER;
  return { newDay, leads: !together };
}

/** The key of the first unread line, counting `unread` texts of others from the newest back; null when there is none. */
export function firstUnread(lines: readonly MessageView[], unread: number): string | null {
  let left = unread;
  let key: string | null = null;
  for (let index = lines.length - 1; index >= 0 && left > 0; index -= 1) {
    const line = lines[index];
    if (line === undefined || line.mine || line.body.kind !== "text") continue;
    key = line.key;
    left -= 1;
  }
  return key;
}

/** Parts of a text: plain, or a web address. */
export function splitLinks(text: string): { readonly text: string; readonly link: boolean }[] {
  const parts: { text: string; link: boolean }[] = [];
  let at = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
    if (match.index > at) parts.push({ text: text.slice(at, match.index), link: false });
    parts.push({ text: match[0], link: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at), link: false });
  return parts;
}

/** The people a notice is about, without the one who did it. */
export function affected(members: readonly MemberId[], from: MemberId | null): readonly MemberId[] {
  return members.filter((member) => member !== from);
}
