// Owns what wrangler.toml says to the local runtime, as one file of the build. Wrangler resolves it when something is built and not at each
// start: to load wrangler takes longer than everything else a start does.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { V4WorkerOptions } from "miniflare";

const FILE = "configuration.json";

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
}

export interface Configuration {
  /** Everything but the modules. Paths in it are those of the machine it was built on. */
  readonly worker: V4WorkerOptions;
  readonly directory: { readonly binding: string; readonly migrations: readonly Migration[] };
}

/** Writes what the wrangler.toml in `root` says into the folder `outDir`. */
export async function writeConfiguration(root: string, outDir: string): Promise<void> {
  const wrangler = await import("wrangler");
  const config = join(root, "wrangler.toml");
  const [database] = wrangler.unstable_readConfig({ config }).d1_databases;
  if (database?.migrations_dir === undefined) throw new Error("wrangler.toml names no migrations_dir");
  const folder = join(root, database.migrations_dir);
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  const migrations = names.sort().map((name) => ({
    name,
    statements: wrangler.unstable_splitSqlQuery(readFileSync(join(folder, name), "utf8")),
  }));
  const { workerOptions } = wrangler.unstable_getMiniflareWorkerOptions(config);
  const configuration = { worker: workerOptions, directory: { binding: database.binding, migrations } };
  writeFileSync(join(outDir, FILE), JSON.stringify(configuration, null, 2));
}

/** What {@link writeConfiguration} has written there. */
export function readConfiguration(folder: string): Configuration {
  return JSON.parse(readFileSync(join(folder, FILE), "utf8")) as Configuration;
}
