// A build that is made anew while a server runs on the old one.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type Server, serve } from "../../scripts/server.ts";

const folder = mkdtempSync(join(tmpdir(), "kuvert-rebuild-"));
let server: Server | undefined;
afterEach(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("H56: a running server goes on serving all of the build it was started with, also after a crash", async () => {
  const dist = join(folder, "dist");
  cpSync(join(import.meta.dirname, "../../dist"), dist, { recursive: true });
  let restarted = (): void => undefined;
  const state = join(folder, "state");
  server = await serve({ port: 0, state, dist, quiet: true, onRestart: () => restarted() });
  const { url, workerdPid } = server;
  const page = await (await fetch(url)).text();
  const [, asset = ""] = /src="(\/assets\/[^"]+\.js)"/.exec(page) ?? [];
  const script = await (await fetch(url + asset)).text();
  expect(script.length).toBeGreaterThan(1_000);
  rmSync(dist, { recursive: true });
  const again = async () => (await fetch(url + asset)).text();
  expect(await again()).toBe(script);
  const back = new Promise<void>((resolve) => {
    restarted = resolve;
  });
  process.kill(workerdPid, "SIGKILL");
  await back;
  expect(await again()).toBe(script);
  expect((await (await fetch(`${url}/api/about`)).json()).product).toBe("kuvert");
});
