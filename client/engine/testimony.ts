// Owns what the word of others about the log is worth: which of it contradicts what this device has seen, and when that proves two logs. Shows nothing.

import type { MemberId } from "../../schemas/ids.ts";
import type { Heads, Position } from "./log-proof.ts";

/**
 * `doubtful`: the sender has seen another log than this device, or says so; told once, until a later word of the same member fits again.
 * `forked`: there are two logs. One rolling hash stands for everything before it, so a device that was shown another log never fits again.
 */
export interface Testimony {
  readonly verdict: "fits" | "doubtful" | "forked";
  /** The members other than this device's own whose last word contradicts. */
  readonly doubts: readonly MemberId[];
}

/**
 * Weighs what `from` says it had seen when it sealed what now stands at `seq`. Whoever lies alone can stop nobody; two members that
 * contradict independently, or another device of the own member, leave only the server.
 */
export function weighTestimony(
  doubts: readonly MemberId[],
  { seen, seq, from }: { readonly seen: Position; readonly seq: number; readonly from: MemberId },
  { heads, me }: { readonly heads: Heads; readonly me: MemberId },
): Testimony {
  const isFalse = seen.seq >= seq || heads.contradicts(seen);
  const others = doubts.filter((member) => member !== from);
  if (!isFalse) return { verdict: "fits", doubts: heads.confirms(seen) ? others : doubts };
  if (from === me || others.length > 0) return { verdict: "forked", doubts };
  return { verdict: doubts.includes(from) ? "fits" : "doubtful", doubts: [from] };
}
