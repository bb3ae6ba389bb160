import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { serve } from "../../scripts/server.ts";

test("a real server survives kill -9 of its runtime", async () => {
  const state = mkdtempSync(join(tmpdir(), "kuvert-"));
  const first = await serve({ port: 0, state, quiet: true });
  expect((await fetch(first.url)).status).toBe(200);
  await first.kill();
  await expect(fetch(first.url)).rejects.toThrow();
  const second = await serve({ port: 0, state, quiet: true });
  expect((await fetch(second.url)).status).toBe(200);
  await second.stop();
});
