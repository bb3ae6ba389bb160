// `npm test`: the static checks, then every Vitest project; `--fast` (`npm run check`) stops after the unit tests. It ends with
// one line "N passed, N failed", in which each static check counts as one.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const fast = process.argv.includes("--fast");

interface Check {
  readonly title: string;
  readonly command: readonly [string, ...string[]];
}

const checks: readonly Check[] = [
  { title: "MLS patch applied", command: ["node", "scripts/check-patch.ts"] },
  { title: "lockfile", command: ["node", "scripts/check-lockfile.ts"] },
  { title: "format and lint", command: ["biome", "ci", `--colors=${process.stdout.isTTY ? "force" : "off"}`, "."] },
  // `--force`: an incremental build does not notice a new file of global declarations.
  { title: "types and import directions", command: ["tsc", "-b", "--force"] },
  { title: "dead code and dependencies", command: ["knip"] },
];

function run([program, ...args]: readonly [string, ...string[]]): boolean {
  return spawnSync(join(root, "node_modules/.bin", program), args, { cwd: root, stdio: "inherit" }).status === 0;
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly success: boolean;
}

function runVitest(): { passed: number; failed: number } {
  const folder = mkdtempSync(join(tmpdir(), "kuvert-test-"));
  const file = join(folder, "report.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const ended = run(["vitest", "run", ...reporters, ...(fast ? ["--project=unit"] : [])]);
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
    const failed = report.numFailedTests;
    // A file that does not load, or an error outside any test, fails the run without failing a test.
    return { passed: report.numPassedTests, failed: ended || failed > 0 ? failed : 1 };
  } catch {
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const failures: string[] = [];
for (const { title, command } of checks) {
  const ok = run(command);
  console.log(`${ok ? "✓" : "✗"} ${title}`);
  if (!ok) failures.push(title);
}
const tests = runVitest();
const passed = tests.passed + checks.length - failures.length;
const failed = tests.failed + failures.length;
if (failures.length > 0) console.log(`\nFailed: ${failures.join(", ")}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
