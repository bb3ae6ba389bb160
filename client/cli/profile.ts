// Owns a profile's folder: where it is, which server it belongs to, and that only one process uses it at a time.
// Knows nothing of what the engine keeps in it.

import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Failure } from "./failure.ts";

const DEFAULT_SERVER = "http://localhost:8787";

interface Environment {
  readonly [name: string]: string | undefined;
}

/** The folder a profile lives in: as asked for, else as the environment says, else the usual one. */
export function profileFolder(asked: string | undefined, env: Environment): string {
  return resolve(asked ?? (env.KUVERT_PROFILE || join(homedir(), ".kuvert", "default")));
}

/** Makes the folder of a profile, readable by its owner only. */
export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}

/**
 * The server a profile remembers; `undefined` for a new one.
 * @throws {Failure} profile_damaged — the file that says so cannot be read
 */
export function rememberedServer(folder: string): string | undefined {
  const path = join(folder, "server");
  try {
    return origin(readFileSync(path, "utf8").trim());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Failure("profile_damaged", `${path} cannot be read`);
  }
}

/** Remembers a profile's server; a crash leaves the old file or the new one. */
export function rememberServer(folder: string, server: string): void {
  const path = join(folder, "server");
  writeFileSync(`${path}.new`, `${server}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/** Forgets a profile's server, because it would not have the account. */
export function forgetServer(folder: string): void {
  rmSync(join(folder, "server"), { force: true });
}

/**
 * The origin of a server's address.
 * @throws {Failure} usage — when it is not an http or https address
 */
export function origin(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new Failure("usage", `"${address}" is not a server's address`);
  return url.origin;
}

/** Which server to talk to: as asked for, as the profile remembers, as an invite link says, as the environment says, the usual one. */
export function chooseServer(from: {
  readonly asked: string | undefined;
  readonly remembered: string | undefined;
  readonly link: string | undefined;
  readonly env: Environment;
}): string {
  const { asked, remembered, link, env } = from;
  const linked = link !== undefined && URL.canParse(link) ? link : undefined;
  return origin(asked ?? remembered ?? linked ?? (env.KUVERT_SERVER || DEFAULT_SERVER));
}
