// Fails when package.json and the lockfile disagree, or the lockfile says where packages are fetched: set-up installs without rewriting the
// lockfile (see setup.mjs), so nothing else would notice.

import { readFileSync } from "node:fs";
import { join } from "node:path";

type Versions = Readonly<Record<string, string>>;

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly dependencies?: Versions;
  readonly devDependencies?: Versions;
}

interface Entry {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly inBundle?: boolean;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Entry | Manifest>>;
}

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
const KINDS = ["dependencies", "devDependencies"] as const;

/** What is wrong between a package.json and its lockfile, one sentence each; nothing when they agree. */
export function lockfileProblems(manifest: Manifest, { packages }: Lockfile): string[] {
  const { "": root = {}, ...entries } = packages as Record<string, Entry> & { "": Manifest };
  const named = [
    ...(["name", "version"] as const)
      .filter((field) => manifest[field] !== root[field])
      .map((field) => `${field} is ${manifest[field]} in package.json and ${root[field]} in the lockfile`),
    ...KINDS.flatMap((kind) => differences(kind, manifest[kind] ?? {}, root[kind] ?? {})),
  ];
  const wanted = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  const pinned = wanted.flatMap(([name, version]) => {
    const locked = entries[`node_modules/${name}`]?.version;
    if (!EXACT.test(version)) return [`${name} is not pinned: ${version}`];
    return locked === version ? [] : [`${name} is ${version} in package.json and locked at ${locked}`];
  });
  return [...named, ...pinned, ...Object.entries(entries).flatMap(([path, entry]) => entryProblems(path, entry))];
}

function differences(kind: string, wanted: Versions, locked: Versions): string[] {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(locked)])];
  return names
    .filter((name) => wanted[name] !== locked[name])
    .map((name) => `${kind}: ${name} is ${wanted[name]} in package.json and ${locked[name]} in the lockfile`);
}

function entryProblems(path: string, { version = "", resolved, integrity, inBundle = false }: Entry): string[] {
  if (resolved !== undefined) return [`${path} says where it was fetched`];
  if (!EXACT.test(version.replace(/\+.*$/, ""))) return [`${path} has no version of a registry: ${version}`];
  return integrity === undefined && !inBundle ? [`${path} has no digest`] : [];
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, "..", name), "utf8"));
}

if (import.meta.main) {
  const problems = lockfileProblems(read("package.json") as Manifest, read("package-lock.json") as Lockfile);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    console.error("Run npm install --package-lock-only and look at what it changed.");
    process.exit(1);
  }
}
