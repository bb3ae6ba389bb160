// Builds what is deployed, the browser bundle (dist/ui) and the Worker (dist/worker), and what a local start needs to know of it (dist/local), each only
// when one of its sources changed. It does not know how any of them is served.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { writeConfiguration } from "./configuration.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

interface Product {
  readonly name: "ui" | "worker" | "local";
  readonly sources: readonly string[];
  readonly make: (outDir: string) => Promise<void> | void;
}

const shared = ["schemas", "package-lock.json", "patches"];

const ui: Product = {
  name: "ui",
  sources: [...shared, "client/engine", "client/ui", "vite.config.ts"],
  make: async (outDir) => {
    // Loaded only when there is something to build, so that a start need not wait for it.
    const vite = await import("vite");
    const options = { configFile: join(root, "vite.config.ts"), logLevel: "warn", build: { outDir } } as const;
    await vite.build(options);
  },
};

const worker: Product = {
  name: "worker",
  sources: [...shared, "workers", "wrangler.toml"],
  make: (outDir) => {
    // Wrangler's own bundler, so that what runs here is what would be deployed.
    const args = ["deploy", "--dry-run", "--outdir", outDir, "--config", join(root, "wrangler.toml")];
    const result = spawnSync(join(root, "node_modules/.bin/wrangler"), args, {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CI: "1" },
    });
    if (result.status !== 0) throw new Error(`The Worker does not build:\n${result.stdout}${result.stderr}`);
  },
};

const local: Product = {
  name: "local",
  sources: ["package-lock.json", "scripts/configuration.ts", "workers/directory/migrations", "wrangler.toml"],
  make: (outDir) => writeConfiguration(root, outDir),
};

function* files(path: string): Generator<string> {
  if (!existsSync(path)) return;
  if (statSync(path).isFile()) yield path;
  else for (const name of readdirSync(path).sort()) yield* files(join(path, name));
}

function digest(sources: readonly string[]): string {
  const hash = createHash("sha256");
  for (const source of sources) {
    for (const file of files(join(root, source))) hash.update(relative(root, file)).update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** Makes beside the old one and then swaps, so that a build never leaves half a product behind. */
async function make({ name, sources, make }: Product, force: boolean): Promise<boolean> {
  const target = join(dist, name);
  const stamp = join(dist, `.${name}.stamp`);
  const wanted = digest(sources);
  if (!force && existsSync(join(target)) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return false;
  const fresh = join(dist, `.${name}.${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  try {
    await make(fresh);
    rmSync(target, { recursive: true, force: true });
    renameSync(fresh, target);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  writeFileSync(stamp, wanted);
  return true;
}

/** Brings dist/ up to date and says which products were made anew. */
export async function build({ force = false }: { readonly force?: boolean } = {}): Promise<readonly string[]> {
  const made: string[] = [];
  for (const product of [ui, worker, local]) if (await make(product, force)) made.push(product.name);
  return made;
}

/** Vitest's global set-up for the projects that start real servers. */
export async function setup(): Promise<void> {
  await build();
}

if (import.meta.main) {
  const made = await build({ force: process.argv.includes("--force") });
  console.log(made.length > 0 ? `Built: ${made.join(", ")} (in dist/)` : "Everything in dist/ is up to date.");
}
