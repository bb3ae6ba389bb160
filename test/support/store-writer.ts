// A process that writes to a profile until it is killed, and says on standard output which writes were confirmed.

import { writeSync } from "node:fs";
import { openSqliteStore } from "../../client/cli/store-sqlite.ts";

const store = await openSqliteStore(process.argv[2] ?? "");
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};
const keyOf = (n: number): string => String(n).padStart(8, "0");
const stored = await store.scan("messages", { reverse: true, limit: 1 });
const start = stored[0] === undefined ? 0 : Number(stored[0].key) + 1;
say("open");
for (let n = start; ; n++) {
  await store.write([
    { table: "messages", key: keyOf(n), value: new Uint8Array(3_000).fill(n) },
    { table: "intents", key: keyOf(n), value: new Uint8Array(200) },
    { table: "intents", key: keyOf(Math.max(0, n - 10)), value: n < 10 ? new Uint8Array(200) : null },
    { table: "meta", key: "last", value: new TextEncoder().encode(String(n)) },
  ]);
  say(String(n));
}
