// Owns a Chromium whose process can be killed, over a profile folder that outlives it. Playwright's own keep their processes to themselves.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type BrowserContext, chromium } from "playwright-core";
import { onTestFinished } from "vitest";
import { CHROMIUM, DESKTOP, QUIET, WAITS } from "./chromium.ts";

export class OwnChromium {
  readonly #child: ChildProcess;
  /** Its only profile: the folder's. */
  readonly context: BrowserContext;

  private constructor(child: ChildProcess, context: BrowserContext) {
    this.#child = child;
    this.context = context;
  }

  /** Starts one that speaks German; it ends with the test at the latest. */
  static async start(profile: string): Promise<OwnChromium> {
    const flags = ["--headless", "--remote-debugging-port=0", "--accept-lang=de-DE", ...QUIET];
    const size = `--window-size=${DESKTOP.viewport.width},${DESKTOP.viewport.height}`;
    const child = spawn(CHROMIUM, [...flags, size, `--user-data-dir=${profile}`], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    const address = await new Promise<string>((resolve) => {
      let said = "";
      child.stderr.on("data", (part) => {
        said += String(part);
        const [, found] = /^DevTools listening on (ws:\S*)$/m.exec(said) ?? [];
        if (found !== undefined) resolve(found);
      });
    });
    const [context] = (await chromium.connectOverCDP(address)).contexts();
    if (context === undefined) throw new Error("no window");
    context.setDefaultTimeout(WAITS);
    return new OwnChromium(child, context);
  }

  /** Kills it with -9; resolves when it is gone. */
  async kill(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
