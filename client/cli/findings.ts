// Owns how findings about keys, and about a conversation that is stopped or shut, are told on the command line: one sentence each, on standard error.

import type { ConversationView, FindingView, LogFault, Snapshot } from "../engine/view.ts";
import { memberName, nameOf } from "./choose.ts";
import { printable } from "./terminal.ts";

/** One sentence for a finding. */
export function findingSentence(snapshot: Snapshot, { kind, member }: FindingView): string {
  const name = member === null ? "" : printable(memberName(snapshot, member));
  const own = member !== null && member === snapshot.account?.member.id;
  switch (kind) {
    case "ghost":
      return `somebody tried to slip in a device as one of ${own ? "yours" : `${name}'s`}; it was not accepted`;
    case "swapped":
      return own
        ? "somebody poses as you towards others; talk to your administrators"
        : `somebody poses as ${name}; it was noticed and not accepted`;
    case "unusable":
      return `the server handed out a key for ${name} that is of no use; it was not used`;
    case "unreadable":
      return "the list of devices has an entry that cannot be read here; it does not count. See kuvert audit-keys";
    case "rolled_back":
      return "the server shows an older list of devices than before; no new device is accepted for now";
    case "forked":
      return member === null
        ? "the server shows another list of devices than before; no new device is accepted for now"
        : `the server shows you and ${name} different lists of devices; ask ${name} some other way before you go on`;
  }
}

const FAULTS: Record<LogFault, string> = {
  altered: "the server did not return it without gaps",
  rolled_back: "the server shows an older state of it than was read here; others may lack what was written since",
  contradicted: "the server has shown others something else in it than here",
  forked: "the server has separated its people; others may not be able to read what was written last",
};

/** One sentence for a conversation that this device has long not got into. */
export function outsideSentence(snapshot: Snapshot, view: ConversationView): string {
  const name = printable(nameOf(snapshot, view));
  return `this device does not get into "${name}" at the moment: nothing new is read and what is written waits; it keeps trying. Use another device, or ask your administrators`;
}

/** One sentence for a conversation that is stopped. */
export function faultSentence(snapshot: Snapshot, view: ConversationView, fault: LogFault): string {
  return `"${printable(nameOf(snapshot, view))}" is stopped: ${FAULTS[fault]}`;
}
