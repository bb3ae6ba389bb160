// Owns what is measured in a real browser: how soon the application is usable, how soon an own message shows, how fast a backlog opens.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { openSqliteStore } from "../client/cli/store-sqlite.ts";
import { openMessenger } from "../client/engine/messenger.ts";
import type { Engine } from "../client/engine/view.ts";
import type { ConversationId } from "../schemas/ids.ts";
import { eagerWeight } from "../test/browser/support/weight.ts";
import { median, pause } from "./machine.ts";
import { type Figure, PRODUCT } from "./marks.ts";
import { startProduct } from "./product.ts";

const BACKLOG = 3_000;
const BUBBLES = 20;
const STARTS = 5;
/** Between two starts of one profile, in ms: what a page leaves behind must not be measured with the next. */
const BETWEEN = 1_000;

const figure = (measure: string, unit: string, value: number): Figure => ({
  work: "browser",
  target: PRODUCT,
  measure,
  unit,
  value,
});

/** Runs before the page's own code: notes when the first element of a selector appears, in ms since navigation. */
function noteFirst(selector: string): void {
  const found = window as typeof window & { firstAt?: number };
  new MutationObserver((_, observer) => {
    if (document.querySelector(selector) === null) return;
    requestAnimationFrame(() => {
      found.firstAt = performance.now();
    });
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true });
}

async function firstAt(page: Page): Promise<number> {
  await page.waitForFunction(() => (window as typeof window & { firstAt?: number }).firstAt !== undefined);
  return page.evaluate(() => (window as typeof window & { firstAt?: number }).firstAt ?? Number.NaN);
}

async function openPage(context: BrowserContext, selector: string): Promise<Page> {
  const page = await context.newPage();
  await page.addInitScript(noteFirst, selector);
  return page;
}

/** Cold starts: an empty profile until the sign-up form can be typed into, and what is loaded before anything lazy, gzipped. */
async function coldStarts(browser: Browser, url: string): Promise<Figure[]> {
  const times: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const context = await browser.newContext();
    const page = await openPage(context, "form input");
    await page.goto(url);
    times.push(await firstAt(page));
    await context.close();
    await pause(BETWEEN);
  }
  return [figure("cold start", "ms", median(times)), figure("bundle gzipped", "KB", eagerWeight().bytes / 1_000)];
}

/** Warm starts, until the list of conversations can be clicked: the page loaded again, and opened in a new tab. */
async function warmStarts(context: BrowserContext, page: Page): Promise<Figure[]> {
  const url = page.url();
  const times: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    await pause(BETWEEN);
    await page.reload({ waitUntil: "networkidle" });
    times.push(await firstAt(page));
  }
  await page.close();
  const anew: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    await pause(BETWEEN);
    const tab = await openPage(context, ".entry");
    await tab.goto(url);
    anew.push(await firstAt(tab));
    await tab.close();
  }
  return [figure("warm start", "ms", median(times)), figure("warm start in a new tab", "ms", median(anew))];
}

/** The page stays open: the device still has to leave its key packages with the server. */
async function joinInBrowser(context: BrowserContext, link: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(link);
  await page.locator("form input").fill("Bea Browser");
  await page.locator("form button[type=submit]").click();
  await page.locator("nav").first().waitFor();
  return page;
}

/** From the Enter key to the first frame that shows the own bubble. */
async function ownBubble(page: Page): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < BUBBLES; at++) {
    await page.locator("textarea").fill(`Blase Nummer ${at}.`);
    const shown = page.evaluate(
      (text) =>
        new Promise<number>((resolve) => {
          let pressed = Number.NaN;
          document.addEventListener("keydown", () => (pressed = performance.now()), { capture: true, once: true });
          new MutationObserver((_, observer) => {
            if (![...document.querySelectorAll(".bubble .text")].some((line) => line.textContent?.includes(text)))
              return;
            observer.disconnect();
            requestAnimationFrame(() => resolve(performance.now() - pressed));
          }).observe(document.body, { childList: true, subtree: true, characterData: true });
        }),
      `Blase Nummer ${at}.`,
    );
    await page.locator("textarea").press("Enter");
    times.push(await shown);
  }
  return median(times);
}

/** How many messages a second the client opens when it comes back to a backlog. */
async function openBacklog(order: {
  context: BrowserContext;
  url: string;
  sender: Engine;
  conversation: ConversationId;
}): Promise<number> {
  const { context, url, sender, conversation } = order;
  const last = `Rückstand ${BACKLOG - 1}`;
  for (let at = 0; at < BACKLOG; at++) await sender.send(conversation, `Rückstand ${at}`);
  await sender.settled(120_000);
  const page = await openPage(context, "textarea");
  await page.goto(`${url}/c/${conversation}`);
  const usable = await firstAt(page);
  await page.getByText(last, { exact: true }).first().waitFor({ timeout: 60_000 });
  const done = await page.evaluate(() => performance.now());
  await page.close();
  return (BACKLOG * 1000) / (done - usable);
}

/** All figures of one browser profile that joins a company whose owner is another engine in this process. */
export async function measureBrowser(): Promise<Figure[]> {
  const running = await startProduct();
  const folder = mkdtempSync(join(tmpdir(), "kuvert-bench-profile-"));
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
  });
  const owner = await openMessenger({ store: await openSqliteStore(folder), server: running.url });
  try {
    const cold = await coldStarts(browser, running.url);
    await owner.signUp({ organisation: "Bench GmbH", name: "Otto Owner", deviceName: "bench" });
    const context = await browser.newContext({ locale: "de-DE" });
    const joined = await joinInBrowser(context, await owner.invite({ role: "member", uses: 1, expiresIn: 3_600_000 }));
    while (owner.snapshot().members.length < 2) await pause(50);
    const members = owner
      .snapshot()
      .members.map(({ id }) => id)
      .filter((id) => id !== owner.snapshot().account?.member.id);
    const conversation = await owner.create({ title: "Messung", members });
    await joined.locator(".entry").waitFor();
    await joined.close();
    await owner.settled(30_000);
    const page = await openPage(context, ".entry");
    await page.goto(running.url);
    await page.locator(".entry").click();
    const bubble = await ownBubble(page);
    const warm = await warmStarts(context, page);
    const opens = await openBacklog({ context, url: running.url, sender: owner, conversation });
    return [...cold, ...warm, figure("own bubble", "ms", bubble), figure("opens, stored and shown", "/s", opens)];
  } finally {
    await owner.close();
    await browser.close();
    await running.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}
