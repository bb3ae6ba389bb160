// Owns the lifetimes offered for messages: a fixed ladder, cut to what the tenant allows.

import { LIMITS, type Policy } from "../../schemas/policy.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LADDER = [
  LIMITS.minExpiry,
  30_000,
  MINUTE,
  5 * MINUTE,
  30 * MINUTE,
  HOUR,
  8 * HOUR,
  DAY,
  7 * DAY,
  LIMITS.maxExpiry,
];

/** The lifetimes one may choose, in ms, shortest first; `current` is among them even when it is not on the ladder. */
export function lifetimes(policy: Policy | null, current: number | null = null): readonly number[] {
  const { minExpiry, maxExpiry } = policy ?? { minExpiry: LIMITS.minExpiry, maxExpiry: LIMITS.maxExpiry };
  const allowed = LADDER.filter((each) => each >= minExpiry && each <= maxExpiry);
  if (current !== null && !allowed.includes(current)) allowed.push(current);
  return allowed.sort((a, b) => a - b);
}
