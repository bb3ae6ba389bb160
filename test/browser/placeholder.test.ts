import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { expect, test } from "vitest";
import { serve } from "../../scripts/server.ts";

test("a real browser shows the page", async () => {
  const server = await serve({ port: 0, state: mkdtempSync(join(tmpdir(), "kuvert-")), quiet: true });
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    expect(await page.title()).toBe("Kuvert");
  } finally {
    await browser.close();
    await server.stop();
  }
});
