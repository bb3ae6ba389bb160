// The projects of `npm test`. `unit` runs under Node and `workers` inside the real Workers runtime, side by side; after them `scenario`
// (real servers, killed and restarted) and `browser` (Chromium), whose files share nothing: no port, no folder, no profile.

import { existsSync, mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig, type TestProjectConfiguration } from "vitest/config";
import { Weave } from "./scripts/weave.ts";

const CORES = availableParallelism();

const migrations = "workers/directory/migrations";
// The assets binding insists on a folder, built or not.
mkdirSync("dist/ui", { recursive: true });

/** How long a state may take to come, in ms; it says nothing of how long it should. */
const patience = { poll: { timeout: 20_000 } } as const;

const unit: TestProjectConfiguration = {
  test: {
    name: "unit",
    include: ["test/schemas/**/*.test.ts", "test/client/**/*.test.ts", "test/scripts/**/*.test.ts"],
    environment: "node",
    // Some count in thousands; a busy machine needs its time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: patience,
    maxWorkers: CORES,
    sequence: { groupOrder: 0 },
  },
};

const workers: TestProjectConfiguration = {
  plugins: [
    cloudflareTest(async () => ({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          RESIDENCY: "simulated",
          TOKEN_SECRET: "A".repeat(43),
          OPERATOR_SECRET: "B".repeat(43),
          MIGRATIONS: existsSync(migrations) ? await readD1Migrations(migrations) : [],
        },
      },
    })),
  ],
  test: {
    name: "workers",
    include: ["test/workers/**/*.test.ts"],
    setupFiles: ["test/workers/support/set-up.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: CORES,
    sequence: { groupOrder: 0 },
  },
};

const real = {
  environment: "node",
  globalSetup: "scripts/build.ts",
  // They wait much of their time, but one more at a time than there are cores and some run out of their patience.
  maxWorkers: Math.min(CORES, 4),
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: patience,
  // Real processes and clocks on a shared machine: one more try there, none where a person looks.
  retry: process.env.CI === undefined ? 0 : 1,
  sequence: { groupOrder: 1 },
} as const;

const scenario: TestProjectConfiguration = {
  test: { ...real, name: "scenario", include: ["test/scenario/**/*.test.ts"] },
};

const browser: TestProjectConfiguration = {
  test: { ...real, name: "browser", include: ["test/browser/**/*.test.ts"] },
};

export default defineConfig({
  test: { sequence: { sequencer: Weave }, projects: [unit, workers, scenario, browser] },
});
