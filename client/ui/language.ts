// Owns which language the client speaks and how it spells dates, times and durations. It knows no view.

import { createEffect, createMemo, createRoot, createSignal } from "solid-js";
import { isRefusal } from "../../schemas/refusal.ts";
import { de } from "./words/de.ts";

type Spoken<Value> = Value extends string
  ? string
  : Value extends (...input: infer Input) => string
    ? (...input: Input) => string
    : { readonly [Key in keyof Value]: Spoken<Value[Key]> };

/** The shape every dictionary has: the German one's. */
export type Words = Spoken<typeof de>;
export type Language = "de" | "en";

const KEY = "kuvert.language";
/** German comes with the page, English when it is spoken: each weighs what a screen weighs. */
const dictionaries: { readonly de: Words; en: Words | null } = { de, en: null };

async function learn(next: Language): Promise<void> {
  if (next === "en") dictionaries.en ??= (await import("./words/en.ts")).en;
}

/** What was chosen before, else the first language of the browser that we speak, else German. */
function preferred(): Language {
  const wanted = [localStorage.getItem(KEY) ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => tag === "de" || tag === "en") ?? "de";
}

const [language, setLanguage] = createSignal<Language>("de");

export { language };

/** The dictionary of the language spoken now. */
export const t = (): Words => dictionaries[language()] ?? de;

/** Speaks the preferred language; to be called before anything is drawn. A dictionary that does not come is no reason to draw nothing. */
export async function speakPreferred(): Promise<void> {
  const wanted = preferred();
  await learn(wanted).then(() => setLanguage(wanted), reportError);
}

/** Speaks another language from now on, also after a reload. */
export async function speak(next: Language): Promise<void> {
  await learn(next);
  localStorage.setItem(KEY, next);
  setLanguage(next);
}

createRoot(() =>
  createEffect(() => {
    document.documentElement.lang = language();
  }),
);

/** The sentence for anything that was thrown. */
export function explain(error: unknown): string {
  return t().refusals[isRefusal(error) ? error.code : "internal"];
}

const DAY = 86_400_000;
const formats = createRoot(() =>
  createMemo(() => {
    const { locale } = t();
    const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, options);
    return {
      time: format({ hour: "2-digit", minute: "2-digit" }),
      weekday: format({ weekday: "short" }),
      date: format({ day: "2-digit", month: "2-digit", year: "2-digit" }),
      day: format({ weekday: "long", day: "numeric", month: "long" }),
      dayOfYear: format({ day: "numeric", month: "long", year: "numeric" }),
      full: format({ dateStyle: "full", timeStyle: "medium" }),
    };
  }),
);

/** Midnight before a time, in ms of this machine's zone. */
export function dayOf(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** Whole days between a time and now; 0 is today. Counts calendar days, so that a change of clocks does not matter. */
function daysAgo(at: number, now: number): number {
  return Math.round((dayOf(now) - dayOf(at)) / DAY);
}

export const formatTime = (at: number): string => formats().time.format(at);
export const formatFull = (at: number): string => formats().full.format(at);
export const formatDate = (at: number): string => formats().date.format(at);

/** A day as a separator in a timeline names it. */
export function formatDay(at: number, now: number): string {
  const days = daysAgo(at, now);
  if (days === 0) return t().today;
  if (days === 1) return t().yesterday;
  return days < 300 ? formats().day.format(at) : formats().dayOfYear.format(at);
}

/** A time as short as a list needs it: the hour today, the weekday this week, else the date. */
export function formatRecent(at: number, now: number): string {
  const days = daysAgo(at, now);
  if (days === 0) return formatTime(at);
  return days < 7 && days > 0 ? formats().weekday.format(at) : formatDate(at);
}

const UNITS = [
  ["week", 7 * DAY],
  ["day", DAY],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** A duration in its largest whole unit: "30 Sekunden", "4 Wochen". Input in ms. */
export function formatDuration(duration: number): string {
  const [unit, size] = UNITS.find(([, each]) => duration >= each && duration % each === 0) ?? ["second", 1_000];
  const number = Math.round(duration / size);
  return new Intl.NumberFormat(t().locale, { style: "unit", unit, unitDisplay: "long" }).format(number);
}

/** What is left of a message's life, in ms, as a short countdown: "3 T", "5:12:08", "0:09". */
export function formatCountdown(left: number): string {
  const seconds = Math.max(0, Math.ceil(left / 1_000));
  if (seconds >= 86_400) {
    const format = { style: "unit", unit: "day", unitDisplay: "narrow" } as const;
    return new Intl.NumberFormat(t().locale, format).format(Math.round(seconds / 86_400));
  }
  const two = (value: number): string => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
