// Proves the turns of several tabs against Chromium's real Web Locks and broadcast channels.

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { ServedPage } from "./support/built.ts";
import { launch } from "./support/chromium.ts";
import type { LockPage } from "./support/lock-page.ts";
import { servePage } from "./support/page.ts";

declare const page: LockPage;

let served: ServedPage;
let browser: Browser;
let context: BrowserContext;
beforeAll(async () => {
  served = await servePage("lock-page.ts");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await served?.stop();
});
beforeEach(async () => {
  context = await browser.newContext();
});
afterEach(() => context.close());

async function openTab(slow = false): Promise<Page> {
  const tab = await context.newPage();
  await tab.goto(served.url);
  await tab.waitForFunction(() => "page" in globalThis);
  await tab.evaluate((putsDownSlowly) => page.start(putsDownSlowly), slow);
  return tab;
}

const told = (tab: Page): Promise<string[]> => tab.evaluate(() => page.told());
const take = (tab: Page): Promise<void> => tab.evaluate(() => page.take());
const expire = (tab: Page): Promise<void> => tab.evaluate(() => page.expire());

test("N19: one tab serves, and another learns that it does not after a short wait", async () => {
  const first = await openTab();
  await expect.poll(() => told(first)).toEqual(["serve"]);
  const second = await openTab();
  expect(await told(second)).toEqual([]);
  await expire(second);
  expect(await told(second)).toEqual(["after 500", "elsewhere"]);
  expect(await told(first)).toEqual(["serve"]);
});

test("N19: a tab that is closed leaves its turn to the next", async () => {
  const first = await openTab();
  await expect.poll(() => told(first)).toEqual(["serve"]);
  const second = await openTab();
  await first.close();
  await expect.poll(() => told(second)).toEqual(["serve"]);
});

test("N20: a turn is handed over when asked for, and only once everything is put down", async () => {
  const first = await openTab(true);
  await expect.poll(() => told(first)).toEqual(["serve"]);
  const second = await openTab();
  await take(second);
  await expect.poll(() => told(first)).toEqual(["serve", "wanted"]);
  expect(await told(second)).toEqual([]);
  await first.evaluate(() => page.putDown());
  await expect.poll(() => told(second)).toEqual(["serve"]);
  await expect.poll(() => told(first)).toEqual(["serve", "wanted", "put down", "elsewhere"]);
  await expire(second);
  expect(await told(second)).toEqual(["serve", "after 5000"]);
});

test("N20: turns go back and forth, and whoever asks goes before those who wait", async () => {
  const tabs = [await openTab(), await openTab(), await openTab()] as const;
  const turnsOf = async (tab: Page) => (await told(tab)).filter((line) => line === "serve").length;
  const [first, second, third] = tabs;
  await expect.poll(() => turnsOf(first)).toBe(1);
  await take(third);
  await expect.poll(() => turnsOf(third)).toBe(1);
  await take(first);
  await expect.poll(() => turnsOf(first)).toBe(2);
  await take(second);
  await expect.poll(() => turnsOf(second)).toBe(1);
  expect(await Promise.all(tabs.map(turnsOf))).toEqual([2, 1, 1]);
});

test("N21: a turn is taken by force from a tab that does not hand it over, and that tab is told", async () => {
  const first = await openTab();
  await expect.poll(() => told(first)).toEqual(["serve"]);
  await first.evaluate(() => page.freeze());
  const second = await openTab();
  await take(second);
  await expect.poll(() => told(first)).toEqual(["serve", "wanted"]);
  expect(await told(second)).toEqual([]);
  await expire(second);
  await expect.poll(() => told(second)).toContain("serve");
  await expect.poll(() => told(first)).toEqual(["serve", "wanted", "end AbortError"]);
  await take(first);
  await expire(first);
  expect(await told(first)).toEqual(["serve", "wanted", "end AbortError"]);
});

test("N21: a tab whose work fails is told why, and lets the next one try", async () => {
  const first = await context.newPage();
  await first.goto(served.url);
  await first.waitForFunction(() => "page" in globalThis);
  await first.evaluate(() => page.startFailing());
  await expect.poll(() => told(first)).toEqual(["end Error: no store"]);
  const second = await openTab();
  await expect.poll(() => told(second)).toEqual(["serve"]);
});
