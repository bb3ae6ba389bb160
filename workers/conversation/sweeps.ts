// Owns what a conversation destroys and when: expired envelopes, what is past retention, and what everybody has. Every sweep may be
// repeated or cut off at any point.

import { earlier } from "../alarm.ts";
import type { Parts } from "./parts.ts";

type Swept = Pick<Parts, "storage" | "charter" | "log" | "roster" | "effects">;

/** How long what everybody has confirmed may stay, in ms: long enough to forget many envelopes at a time. */
export const FORGET_AFTER = 30_000;
/** Envelopes in one turn, so that a sweep never holds up those who talk. */
const TURN = 500;

/** When there is next something to sweep, in ms; null for never. */
export function dueAt({ charter, log, roster, effects }: Swept, now: number): number | null {
  const oldest = log.oldestAt();
  const retained = oldest === null ? null : oldest + charter.policy.retention;
  const passed = roster.passed() - log.first + 1;
  const forgotten = passed <= 0 ? null : passed > TURN ? now : now + FORGET_AFTER;
  return [log.nextExpiry(), retained, forgotten].reduce(earlier, effects.dueAt());
}

/** Destroys what is due by `now` (ms), at most a turn of each kind. */
export function sweep({ storage, charter, log, roster }: Swept, now: number): void {
  storage.transactionSync(() => {
    roster.save();
    log.expire(now, TURN);
    log.retain(now - charter.policy.retention, TURN);
    log.forget(roster.passed(), TURN);
  });
}
