// Owns how the browser tests start Chromium, and what they hold against a page: everything it complained about.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** Pictures for people to look at; nothing reads them. */
const ARTEFACTS = join(import.meta.dirname, "../../artefacts");

export const CHROMIUM = "/usr/bin/chromium";
/** Chromium without its own calls home, which no test machine answers. */
const SILENT = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", ...SILENT];
/** How long a page waits for what is to come, in ms. */
export const WAITS = 30_000;
/** How long for a backup that something has changed under: the next one is a minute later. In ms. */
export const BACKUP_WAITS = 100_000;

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: QUIET });
}

export const DESKTOP = { viewport: { width: 1280, height: 800 } } as const;
export const PHONE = { viewport: { width: 390, height: 844 } } as const;

/** A browser profile of its own. */
export async function openProfile(browser: Browser, options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const context = await browser.newContext({ locale: "de-DE", timezoneId: "Europe/Berlin", ...DESKTOP, ...options });
  context.setDefaultTimeout(WAITS);
  return context;
}

/** Closes what a test, or a try of one, has left open. */
export async function closeProfiles(browser: Browser): Promise<void> {
  for (const context of browser.contexts()) await context.close();
}

/** Gathers what a profile's pages and workers complain about: errors, warnings, and breaches of the content policy. */
export function gatherComplaints(context: BrowserContext): string[] {
  const complaints: string[] = [];
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  return complaints;
}

/** Keeps a picture under test/artefacts. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(ARTEFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
}

/** Things one can operate that a screen reader would have no name for, as the browser itself computes names. */
export async function namelessControls(page: Page): Promise<readonly string[]> {
  const snapshot = await page.locator("body").ariaSnapshot();
  const nameless = /^\s*- (button|link|textbox|searchbox|combobox|checkbox|radio|img|dialog|navigation)(?! ")\b/;
  return snapshot.split("\n").filter((line) => nameless.test(line));
}
