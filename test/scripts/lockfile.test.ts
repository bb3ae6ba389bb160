import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { lockfileProblems } from "../../scripts/check-lockfile.ts";

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), "utf8"));

/** The project's own, with changes. */
function changed(change: (manifest: Record<string, never>, lockfile: Record<string, never>) => void): string[] {
  const [manifest, lockfile] = [read("package.json"), read("package-lock.json")];
  change(manifest, lockfile);
  return lockfileProblems(manifest, lockfile);
}

test("H55: the project's own agree", () => {
  expect(changed(() => undefined)).toEqual([]);
});

// biome-ignore lint/suspicious/noExplicitAny: anything may be changed in a file of JSON
const CHANGES: Record<string, (manifest: any, lockfile: any) => void> = {
  "a version changed in package.json alone": ({ dependencies }) => {
    dependencies.hono = "4.0.0";
  },
  "a new dependency": ({ devDependencies }) => {
    devDependencies.leftpad = "1.0.0";
  },
  "a dependency that is gone": ({ dependencies }) => {
    delete dependencies.hono;
  },
  "a range in both": ({ dependencies }, { packages }) => {
    dependencies.hono = "^4.13.19";
    packages[""].dependencies.hono = "^4.13.19";
  },
  "another version locked": (_, { packages }) => {
    packages["node_modules/hono"].version = "4.13.18";
  },
  "a locked package that is gone": (_, { packages }) => {
    delete packages["node_modules/hono"];
  },
  "another release of the project": (manifest) => {
    manifest.version = "9.9.9";
  },
  "an address to fetch from": (_, { packages }) => {
    packages["node_modules/hono"].resolved = "https://registry.example/hono.tgz";
  },
  "a version that is an address": (_, { packages }) => {
    packages["node_modules/zod"] = { version: "https://example.com/zod.tgz", integrity: "sha512-x" };
  },
  "a package without a digest": (_, { packages }) => {
    delete packages["node_modules/hono"].integrity;
  },
};

test.each(Object.keys(CHANGES))("H55: %s is noticed", (name) => {
  expect(changed(CHANGES[name] ?? (() => undefined)).length).toBeGreaterThan(0);
});
