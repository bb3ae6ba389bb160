// Runs the store contract against real IndexedDB in Chromium, and what only a browser can show: quota, a second opener, a killed browser.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STORE_CONTRACT } from "../support/store-contract.ts";
import type { ServedPage } from "./support/built.ts";
import { launch } from "./support/chromium.ts";
import { OwnChromium } from "./support/own-chromium.ts";
import { servePage } from "./support/page.ts";
import type { StorePage } from "./support/store-page.ts";

declare const page: StorePage;

let served: ServedPage;
let browser: Browser;
beforeAll(async () => {
  served = await servePage("store-page.ts");
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await served?.stop();
});

/** A page of a fresh profile, its module loaded. */
async function openPage(): Promise<Page> {
  const tab = await (await browser.newContext()).newPage();
  await load(tab);
  return tab;
}

async function load(tab: Page): Promise<void> {
  await tab.goto(served.url);
  await tab.waitForFunction(() => "page" in globalThis);
}

describe.each([false, true])("contract (sealed: %s)", (isSealed) => {
  let tab: Page;
  beforeAll(async () => {
    tab = await openPage();
  });
  test.for(STORE_CONTRACT.map(({ title }, index) => ({ title, index })))("$title", async ({ index }) => {
    const run = ([number, sealed]: readonly [number, boolean]) => page.runCase(number, sealed);
    expect(await tab.evaluate(run, [index, isSealed] as const)).toBe("");
  });
});

describe("openers", () => {
  test("S5: the last opener is the only writer, also over a page that knows nothing of it", async () => {
    const first = await openPage();
    const second = await first.context().newPage();
    await load(second);
    expect(await first.evaluate(() => page.open("s", "shared"))).toBe("done");
    expect(await first.evaluate(() => page.put("s", "before"))).toBe("done");
    expect(await second.evaluate(() => page.open("s", "shared"))).toBe("done");
    const refused = { code: "conflict", where: "store", reason: "in_use" };
    expect(await first.evaluate(() => page.put("s", "late"))).toEqual(refused);
    expect(await second.evaluate(() => page.put("s", "after"))).toBe("done");
    expect(await second.evaluate(() => page.keys("s", "meta"))).toEqual(["after", "before"]);
    expect(await first.evaluate(() => page.put("s", "late"))).toEqual(refused);
    await first.context().close();
  });

  test("S9: a profile of a newer build is refused", async () => {
    const tab = await openPage();
    await tab.evaluate(() => page.upgrade("newer"));
    const outcome = await tab.evaluate(() => page.open("s", "newer"));
    expect(outcome).toEqual({ code: "version_unsupported", where: "store", reason: "newer" });
    await tab.context().close();
  });

  test("S9: a store whose database the browser has taken away refuses, and says so", async () => {
    const tab = await openPage();
    await tab.evaluate(() => page.open("s", "gone"));
    const devtools = await tab.context().newCDPSession(tab);
    await devtools.send("Storage.clearDataForOrigin", {
      origin: new URL(served.url).origin,
      storageTypes: "indexeddb",
    });
    await expect
      .poll(() => tab.evaluate(() => page.put("s", "k")))
      .toEqual({ code: "unavailable", where: "store", reason: "closed" });
    await tab.context().close();
  });
});

describe("room", () => {
  test("S6: a full disk refuses with quota, leaves nothing half-written, and writes go on once there is room", async () => {
    const tab = await openPage();
    const devtools = await tab.context().newCDPSession(tab);
    const { origin } = new URL(served.url);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 3_000_000 });
    await tab.evaluate(() => page.open("s", "full"));
    const { count, outcome } = await tab.evaluate(() => page.fill("s", 60_000, 100));
    expect(outcome).toEqual({ code: "quota", where: "store", reason: "full" });
    expect(count).toBeGreaterThan(2);
    expect(await tab.evaluate(() => page.keys("s", "messages"))).toHaveLength(count);
    expect(await tab.evaluate(() => page.keys("s", "groups"))).toHaveLength(count);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 100_000_000 });
    expect(await tab.evaluate(() => page.put("s", "again"))).toBe("done");
    await tab.context().close();
  });
});

describe("crashes", () => {
  test("S4: a browser killed with -9 in mid-write loses nothing it confirmed and leaves nothing half-written", {
    timeout: 180_000,
  }, async () => {
    const profile = mkdtempSync(join(tmpdir(), "kuvert-chromium-"));
    let confirmed = -1;
    for (let round = 1; round <= 3; round++) {
      const chromium = await OwnChromium.start(profile);
      const tab = await chromium.context.newPage();
      await load(tab);
      const enough = confirmed + 10 * round;
      const { promise: seen, resolve } = Promise.withResolvers<void>();
      await tab.exposeFunction("confirmed", (n: number) => {
        confirmed = n;
        if (n >= enough) resolve();
      });
      expect(await tab.evaluate(() => page.open("s", "killed"))).toBe("done");
      const keys = await tab.evaluate(() => page.keys("s", "messages"));
      expect(keys.map(Number)).toEqual(keys.map((_, n) => n));
      expect(await tab.evaluate(() => page.keys("s", "groups"))).toEqual(keys);
      expect(keys.length).toBeGreaterThan(round === 1 ? -1 : confirmed);
      const start = keys.length;
      tab
        .evaluate((from) => {
          const { confirmed } = globalThis as unknown as { confirmed: (n: number) => void };
          return page.writeForever("s", from, confirmed);
        }, start)
        .catch(() => undefined);
      await seen;
      await chromium.kill();
    }
    expect(confirmed).toBeGreaterThanOrEqual(50);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
});
