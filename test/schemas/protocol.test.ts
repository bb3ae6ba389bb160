import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { REFUSALS } from "../../schemas/refusal.ts";
import { STORE_CONTRACT } from "../support/store-contract.ts";

const root = join(import.meta.dirname, "../..");
const protocol = readFileSync(join(root, "PROTOCOL.md"), "utf8");
const rows = [...protocol.matchAll(/^- \*\*([A-Z]\d+)\*\* — (.+)$/gm)].map(([, id = "", says = ""]) => ({ id, says }));
const written = new Set(rows.map(({ id }) => id));

const STRING = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`/y;
/** What stands before the arguments of a test: "test(", "test.skip(", "it.for(" and so on. */
const CALL = /(?<![\w.$"'`])(?:test|it)((?:\.\w+)*)\(/g;
/** Takes a table or a condition, and gives what then takes the title. */
const CURRIED = /\.(?:each|for|skipIf|runIf)$/;

/** The position after the bracket that closes the one before `at`. */
function closing(source: string, at: number): number {
  const tokens = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/.*|[([{]|[)\]}]/g;
  tokens.lastIndex = at;
  let depth = 1;
  for (let token = tokens.exec(source); token !== null; token = tokens.exec(source)) {
    if (/^[([{]$/.test(token[0])) depth++;
    else if (/^[)\]}]$/.test(token[0]) && --depth === 0) return tokens.lastIndex;
  }
  return source.length;
}

/** The titles of the tests in a file, as they stand there; a test whose title is no literal has its code instead. */
function titlesIn(source: string): string[] {
  return [...source.matchAll(CALL)].flatMap(({ 0: call, 1: modifiers = "", index }) => {
    const inside = index + call.length;
    const before = CURRIED.test(modifiers) ? closing(source, inside) + 1 : inside;
    const start = before + (/^\s*/.exec(source.slice(before))?.[0].length ?? 0);
    STRING.lastIndex = start;
    const title = STRING.exec(source)?.[0].slice(1, -1) ?? source.slice(start, start + 40);
    return title === "$title" ? STORE_CONTRACT.map((one) => one.title) : [title];
  });
}

/** The ids that a title begins with: "O1: …" or "O1, D2: …". */
function rulesOf(title: string): string[] {
  return /^([A-Z]\d+(?:, [A-Z]\d+)*): /.exec(title)?.[1]?.split(", ") ?? [];
}

const titles = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .flatMap((name) => {
    const path = join(root, "test", name);
    return titlesIn(readFileSync(path, "utf8")).map((title) => ({ file: relative(root, path), title }));
  });

test("T1: titles are found in every form a test can have", () => {
  const forms = [
    'test("O1: plain", () => {});',
    "test.skip(`O2: template`, () => {});",
    'test(\n  "O3: on its own line",\n);',
    'test.for(["a)", `b(`])("O4: %s", () => {});',
    'test.each([\n  [{ a: "x" }, ")"], // one (\n] as const)(\n  "O5: over lines",\n);',
    "/x/.test(text); latest(1); contest.test(2);",
    "test(name, () => {});",
  ];
  const found = forms.flatMap(titlesIn);
  expect(found).toEqual([
    "O1: plain",
    "O2: template",
    "O3: on its own line",
    "O4: %s",
    "O5: over lines",
    "name, () => {});",
  ]);
});

test("T1: every test names the rules it proves, and they are written down", () => {
  expect(titles.length).toBeGreaterThan(300);
  const wrong = titles.filter(({ title }) => {
    const rules = rulesOf(title);
    return rules.length === 0 || rules.some((rule) => !written.has(rule));
  });
  expect(wrong).toEqual([]);
});

test("T1: every rule is written once, and proved by a test unless it says how else", () => {
  expect(rows).toHaveLength(written.size);
  const proved = new Set(titles.flatMap(({ title }) => rulesOf(title)));
  const open = rows.filter(({ id, says }) => !proved.has(id) && !/_\((?:bench|read)\)_$/.test(says));
  expect(open.map(({ id }) => id)).toEqual([]);
});

test("T2: every refusal code is documented with its status and remedy", () => {
  const table = protocol.replaceAll(/ +/g, " ");
  for (const [code, { status, remedy }] of Object.entries(REFUSALS))
    expect(table).toContain(`| \`${code}\` | ${status} | ${remedy} |`);
});
