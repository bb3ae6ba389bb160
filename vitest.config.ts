// The projects of `npm test`. `unit` runs under Node, `workers` inside the real Workers runtime; `scenario` (real servers, killed
// and restarted) and `browser` (Chromium) run one file at a time, after the others, because they time what they see.

import { existsSync, mkdirSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig, type TestProjectConfiguration } from "vitest/config";

const migrations = "workers/directory/migrations";
// The assets binding insists on a folder, built or not.
mkdirSync("dist/ui", { recursive: true });

const unit: TestProjectConfiguration = {
  test: {
    name: "unit",
    include: ["test/schemas/**/*.test.ts", "test/client/**/*.test.ts", "test/scripts/**/*.test.ts"],
    environment: "node",
    // Some count in thousands; a busy machine needs its time.
    testTimeout: 30_000,
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
    testTimeout: 30_000,
    hookTimeout: 30_000,
    sequence: { groupOrder: 1 },
  },
};

const serial = {
  environment: "node",
  globalSetup: "scripts/build.ts",
  fileParallelism: false,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // Real processes and clocks on a shared machine: one more try there, none where a person looks.
  retry: process.env.CI === undefined ? 0 : 1,
} as const;

const scenario: TestProjectConfiguration = {
  test: { ...serial, name: "scenario", include: ["test/scenario/**/*.test.ts"], sequence: { groupOrder: 2 } },
};

const browser: TestProjectConfiguration = {
  test: { ...serial, name: "browser", include: ["test/browser/**/*.test.ts"], sequence: { groupOrder: 3 } },
};

export default defineConfig({ test: { projects: [unit, workers, scenario, browser] } });
