// Serves object/room.ts in the real runtime and prints {port, workerdPid}. Argument: the folder for its state.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const folder = process.argv[2] ?? "";
const outfile = join(folder, "room.js");
writeFileSync(outfile, stripTypeScriptTypes(readFileSync(join(import.meta.dirname, "object/room.ts"), "utf8")));
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: [{ type: "ESModule", path: outfile }],
    modulesRoot: folder,
    compatibilityDate: "2026-11-01",
    durableObjects: {
      BARE: { className: "BareRoom", useSQLite: true },
      GROUPED: { className: "GroupedRoom", useSQLite: true },
    },
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    resourcePersistencePath: join(folder, "data"),
  }),
);
const { port } = await miniflare.ready;

/** The runtime is this process's child of that name (proc(5)). */
function runtimePid(): number {
  const children = readdirSync("/proc").filter((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      return stat.includes("(workerd)") && stat.split(") ")[1]?.split(" ")[1] === String(process.pid);
    } catch {
      return false;
    }
  });
  return Number(children[0]);
}

console.log(JSON.stringify({ port, workerdPid: runtimePid() }));
process.once("SIGTERM", () => void miniflare.dispose().then(() => process.exit(0)));
