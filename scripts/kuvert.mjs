#!/usr/bin/env node
// Starts the `kuvert` command under the Node of this project, whatever Node the person has first on the path.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const pinned = path("../node_modules/.bin/node");
const node = existsSync(pinned) ? pinned : process.execPath;
const args = ["--disable-warning=ExperimentalWarning", path("../client/cli/main.ts"), ...process.argv.slice(2)];

// Compiled code is kept beside the packages: a folder that others can write to, such as /tmp, could bring their code in here.
const env = { NODE_COMPILE_CACHE: path("../node_modules/.cache/node"), ...process.env };

const child = spawn(node, args, { stdio: "inherit", env });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
