// Fails unless every hunk of the MLS patch is in the installed library: without it, valid welcomes are refused and hostile
// messages crash the client.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

for (const name of readdirSync(join(root, "patches"))) {
  // A patch that can be taken back has been applied.
  const args = ["apply", "--reverse", "--check", join("patches", name)];
  const { status, stderr } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  if (status !== 0) {
    console.error(`${name} is not applied. Remove node_modules and run npm install.\n${stderr}`);
    process.exit(1);
  }
}
