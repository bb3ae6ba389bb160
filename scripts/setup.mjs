// Prepares a fresh machine for any other npm script. It must run on Node 20 and import nothing that has to be installed.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = join(root, "node_modules", ".kuvert-setup");
const chromium = "/usr/bin/chromium";

/** The digest of everything that decides what ends up in node_modules. */
function wanted() {
  const patches = join(root, "patches");
  const inputs = ["package-lock.json", ".npmrc", ...readdirSync(patches).map((name) => `patches/${name}`)];
  const hash = createHash("sha256");
  for (const path of inputs.sort()) hash.update(path).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

/**
 * Installs when the lockfile or a patch differs from what was installed last; `postinstall` leaves the stamp.
 *
 * `npm install --no-save` takes versions and digests from the lockfile and leaves it alone, as `npm ci` does. But `npm ci` refuses
 * a lockfile without the builds for other systems (optional packages), and a registry that serves one system leaves them out.
 */
function installPackages() {
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted()) return;
  console.log("Installing packages …");
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  try {
    execFileSync("npm", args, { cwd: root, stdio: "inherit" });
  } catch {
    console.error("The packages could not be installed; npm says why above.");
    process.exit(1);
  }
}

function installChromium() {
  if (existsSync(chromium)) return;
  console.log("Installing Debian's Chromium for the browser tests …");
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "--non-interactive"];
  const run = (...command) => {
    const [program, ...args] = [...asRoot, ...command];
    execFileSync(program, args, { stdio: "inherit", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
  };
  try {
    run("apt-get", "update");
    run("apt-get", "install", "-y", "--no-install-recommends", "chromium");
  } catch (error) {
    console.error(`\n${chromium} is missing and could not be installed: ${error.message}`);
    console.error("The browser tests need it. On Debian, as root: apt-get install chromium\n");
    process.exit(1);
  }
}

if (process.argv.includes("--stamp")) {
  writeFileSync(stamp, wanted());
} else {
  installPackages();
  if (process.argv.includes("--chromium")) installChromium();
}
