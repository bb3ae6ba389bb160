// Owns the name a new device introduces itself with, guessed from the browser. People see it in their list of devices.

import { t } from "./language.ts";

const BROWSERS = [
  ["Edge", /Edg/],
  ["Firefox", /Firefox/],
  ["Chrome", /Chrom/],
  ["Safari", /Safari/],
] as const;
const SYSTEMS = [
  ["Android", /Android/],
  ["iPhone", /iPhone/],
  ["iPad", /iPad/],
  ["macOS", /Mac OS/],
  ["Windows", /Windows/],
  ["Linux", /Linux/],
] as const;

/** "Firefox auf Windows", in the language spoken now. */
export function deviceName(agent: string = navigator.userAgent): string {
  const find = (names: readonly (readonly [string, RegExp])[]) => names.find(([, pattern]) => pattern.test(agent))?.[0];
  return t().deviceName(find(BROWSERS) ?? t().browser, find(SYSTEMS) ?? t().system);
}
