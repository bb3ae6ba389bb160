// Owns the spelling of durations on the command line: 10s, 5m, 2h, 7d, 4w. Times in milliseconds.

import { Failure } from "./failure.ts";

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
type Unit = keyof typeof UNITS;

/**
 * Milliseconds of a duration such as `10s`, `5m`, `2h`, `7d` or `4w`.
 * @throws {Failure} usage — when it is anything else
 */
export function parseDuration(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,5})([smhdw])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new Failure("usage", `"${text}" is not a duration; write 10s, 5m, 2h, 7d or 4w`);
  }
  return Number(count) * UNITS[unit as Unit];
}

/** A duration as {@link parseDuration} reads it: exact when a single unit can say it, else rounded up to the largest unit that fits twice. */
export function formatDuration(ms: number): string {
  const units = Object.entries(UNITS).reverse();
  const exact = units.find(([, size]) => ms >= size && ms % size === 0);
  const [unit, size] = exact ?? units.find(([, size]) => ms >= 2 * size) ?? ["s", UNITS.s];
  return `${Math.max(1, Math.ceil(ms / size))}${unit}`;
}
