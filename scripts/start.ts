// `npm start`: builds what is stale and serves it on this machine, without an account and without a network.
//   PORT (8787; 0 = any)   KUVERT_STATE (.kuvert)   KUVERT_REQUESTS_PER_MINUTE (wrangler.toml's limits)
//   KUVERT_SENDS_PER_SECOND (50 per device and conversation)   KUVERT_OPERATOR_SECRET (none: no operator's routes)
//   --json   one line per start of the runtime: {"url", "pid", "workerdPid"}; traces go to stderr in any case
//   --quiet  only errors
//   --built  serve dist/ as it is

import { join, resolve } from "node:path";
import { build } from "./build.ts";
import { type Server, serve } from "./server.ts";

const json = process.argv.includes("--json");
const quiet = process.argv.includes("--quiet");
const port = Number(process.env.PORT ?? 8787);
const state = resolve(process.env.KUVERT_STATE ?? join(import.meta.dirname, "../.kuvert"));
const requestsPerMinute = process.env.KUVERT_REQUESTS_PER_MINUTE;
const operatorSecret = process.env.KUVERT_OPERATOR_SECRET;
const sendsPerSecond = process.env.KUVERT_SENDS_PER_SECOND;

function announce(server: Server): void {
  if (json) {
    console.log(JSON.stringify({ url: server.url, pid: process.pid, workerdPid: server.workerdPid }));
    return;
  }
  console.log(`
  Kuvert is running:  ${server.url}

  State:      ${state} (survives a restart; delete the folder to begin again)
  Residency:  simulated — this runtime has no jurisdictions; a deployment refuses to run without them
  Stop:       Ctrl+C
`);
}

async function main(): Promise<void> {
  if (!process.argv.includes("--built")) {
    if (!json) console.log("Building what has changed …");
    await build();
  }
  const server = await serve({
    port,
    state,
    quiet,
    ...(requestsPerMinute !== undefined && { requestsPerMinute: Number(requestsPerMinute) }),
    ...(sendsPerSecond !== undefined && { sendsPerSecond: Number(sendsPerSecond) }),
    ...(operatorSecret !== undefined && { operatorSecret }),
    onRestart: () => announce(server),
  });
  const stop = async (): Promise<void> => {
    await server.stop();
    process.exit(0);
  };
  // Miniflare's own handlers would exit before the runtime has gone.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.removeAllListeners(signal).once(signal, () => void stop());
  announce(server);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
