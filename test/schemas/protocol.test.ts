import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { REFUSALS } from "../../schemas/refusal.ts";

const root = join(import.meta.dirname, "../..");
const protocol = readFileSync(join(root, "PROTOCOL.md"), "utf8");
const written = new Set([...protocol.matchAll(/^\| \*\*([A-Z]\d+)\*\* \|/gm)].map(([, rule]) => rule));

/** Rule ids named at the start of test titles in a test file: "O1: …", "O1, D2: …" or a template that begins so. */
function rulesOf(file: string): string[] {
  const titles = readFileSync(file, "utf8").matchAll(/\b(?:test|it)(?:\.\w+)*(?:\([^"'`()]*\))?\(\s*["'`]([^"'`]*)/g);
  return [...titles].flatMap(
    ([, title = ""]) => /^((?:[A-Z]\d+(?:, )?)+):/.exec(title)?.[1]?.split(", ") ?? [`untitled: ${title}`],
  );
}

const files = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join(root, "test", name));
const proved = new Map(files.map((file) => [file, rulesOf(file)]));

test("T1: every test names the rule it proves, and the rule is written down", () => {
  const unknown = [...proved].flatMap(([file, rules]) =>
    rules.filter((rule) => !written.has(rule)).map((rule) => `${file}: ${rule}`),
  );
  expect(unknown).toEqual([]);
});

test("T1: every rule is proved by a test", () => {
  const all = new Set([...proved.values()].flat());
  expect([...written].filter((rule) => !all.has(rule ?? ""))).toEqual([]);
});

test("T2: every refusal code is documented with its status and remedy", () => {
  for (const [code, { status, remedy }] of Object.entries(REFUSALS))
    expect(protocol).toContain(`| \`${code}\` | ${status} | ${remedy} |`);
});
