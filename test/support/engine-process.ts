// A process that runs the engine on a profile until it is killed. Calls and news cross its channel as they do between a page and its worker;
// every frame, and every write before it is made, is told there too.

import { openSqliteStore } from "../../client/cli/store-sqlite.ts";
import { openMessenger } from "../../client/engine/messenger.ts";
import { createPost } from "../../client/ui/post.ts";
import type { Method } from "../../client/ui/wire.ts";
import { isRefusal, Refusal } from "../../schemas/refusal.ts";
import type { Circumstances, FromProcess, ToProcess } from "./engine-apart.ts";
import { Random } from "./random.ts";
import { storeThrough } from "./store-through.ts";
import { type Tampering, tamperedSocket } from "./tampered-socket.ts";
import { stormy } from "./weather.ts";

const { folder, server, seed, weather }: Circumstances = JSON.parse(process.argv[2] ?? "");

/** Resolves when nothing that happens to this process can take it back. */
const tell = (message: FromProcess): Promise<void> =>
  new Promise((told) => process.send?.(message, undefined, undefined, () => told()));

const storm = stormy(weather, new Random(seed));
const tampering: Tampering = {
  incoming: (frame, url) => {
    void tell({ type: "incoming", frame, url });
    return storm.incoming(frame, url);
  },
  outgoing: (frame, url) => {
    void tell({ type: "outgoing", frame, url });
    return storm.outgoing(frame, url);
  },
};

const { WebSocket, cut } = tamperedSocket(tampering);
const store = await openSqliteStore(folder);
const engine = await openMessenger({
  store: storeThrough(store, async (writes) => {
    await tell({ type: "writes", writes });
    await store.write(writes);
  }),
  server,
  kind: "terminal",
  WebSocket,
  log: (where, error) => void tell({ type: "fault", fault: `${where}: ${String(error)}` }),
});
const post = createPost((message) => void tell(message));

async function answer({ id, method, input }: Extract<ToProcess, { type: "call" }>): Promise<void> {
  try {
    const call = engine[method as Method] as (...input: readonly unknown[]) => Promise<unknown>;
    post.answer({ type: "answer", id, ok: true, value: await call(...input) });
  } catch (error) {
    const { code, detail } = isRefusal(error) ? error : new Refusal("internal");
    post.answer({ type: "answer", id, ok: false, code, detail });
  }
}

process.on("disconnect", () => process.exit());
process.on("message", (message: ToProcess) => {
  if (message.type === "cut") cut();
  else if (message.type === "call") void answer(message);
});
post.follow(engine);
void tell({ type: "place", place: "here" });
