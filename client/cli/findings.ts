// Owns how findings about keys are told on the command line: one sentence each, on standard error, until a person has looked.

import type { FindingView, Snapshot } from "../engine/view.ts";
import { memberName } from "./choose.ts";
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
    case "rolled_back":
      return "the server shows an older list of devices than before; no new device is accepted for now";
    case "forked":
      return member === null
        ? "the server shows another list of devices than before; no new device is accepted for now"
        : `the server shows you and ${name} different lists of devices; ask ${name} some other way before you go on`;
  }
}
