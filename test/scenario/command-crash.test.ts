import { once } from "node:events";
import { watch } from "node:fs";
import { expect, test } from "vitest";
import type { Engine } from "../../client/engine/view.ts";
import { eachWithProfiles } from "../support/hooks.ts";
import type { Profiles } from "../support/profiles.ts";
import { Random } from "../support/random.ts";
import type { RealServer } from "../support/real-server.ts";

const SEED = Number(process.env.KUVERT_SEED ?? Date.now() % 1_000_000);
const ROUNDS = 12;

const random = new Random(SEED);
let server: RealServer;
let profiles: Profiles;

eachWithProfiles((all, its) => {
  profiles = all;
  server = its;
});

/** Opens a profile, lets it put out what waits and read what is new, and returns its texts. */
async function texts(name: string): Promise<string[]> {
  const engine = await profiles.open(name, server.url);
  try {
    await engine.settled(30_000);
    const [conversation] = engine.snapshot().conversations;
    const lines = conversation === undefined ? [] : await engine.timeline(conversation.id, { limit: 1_000 });
    return lines.flatMap(({ body }) => (body.kind === "text" ? [body.text] : []));
  } finally {
    await profiles.close(engine);
  }
}

/** Counts the writes to a profile's files and calls `at` on the wanted one. */
function countWrites(name: string, wanted: number, at: () => void) {
  const seen = { writes: 0 };
  const watcher = watch(profiles.of(name), () => {
    seen.writes += 1;
    if (seen.writes === wanted) at();
  });
  return { seen, stop: () => watcher.close() };
}

/** Starts `kuvert send`, kills it at the wanted write to its files or when `killer` says so, and returns what it had reported. */
async function killedSend(text: string, wanted: number, killer?: Promise<unknown>) {
  const child = profiles.spawn("eva", ["send", "Kasse", text, "--json"]);
  let out = "";
  child.stdout?.on("data", (data: Buffer) => {
    out += data.toString();
  });
  const ended = once(child, "close");
  const kill = () => child.kill("SIGKILL");
  const { seen, stop } = countWrites("eva", wanted, kill);
  void killer?.then(kill);
  await ended;
  stop();
  return { reported: out.includes('"type":"message"'), writes: seen.writes };
}

/** Resolves as soon as the other person has the message. */
function arrives(engine: Engine, text: string): Promise<void> {
  return new Promise((resolve) => {
    const off = engine.on((event) => {
      if (event.type !== "message" || event.message.body.kind !== "text" || event.message.body.text !== text) return;
      off();
      resolve();
    });
  });
}

test(`T20: a send killed with -9 is lost whole or sent once (seed ${SEED})`, async () => {
  await profiles.objects("eva", ["signup", "--organisation", "K", "--name", "Eva", "--server", server.url]);
  const [invite] = await profiles.objects("eva", ["invite"]);
  await profiles.objects("jan", ["join", String(invite?.link), "--name", "Jan"]);
  await profiles.objects("eva", ["create", "--title", "Kasse", "Jan"]);

  const jan = await profiles.open("jan", server.url);
  await jan.settled(30_000);
  const begun = performance.now();
  const whole = await killedSend("ungestört", Number.POSITIVE_INFINITY);
  const usual = performance.now() - begun;
  expect(whole.reported).toBe(true);
  // At any write, at any time, and at the worst moment: the message is with the others, and its sender does not know
  const killers = [
    () => undefined,
    () => new Promise<void>((due) => setTimeout(due, random.between(usual * 0.2, usual))),
    (text: string) => arrives(jan, text),
  ];

  const expected = ["ungestört"];
  const ends = { reported: 0, outbox: 0, never: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const text = `Nachricht ${round}`;
    const killer = killers[round % killers.length]?.(text);
    const wanted = killer === undefined ? random.between(1, whole.writes) : Number.POSITIVE_INFINITY;
    const { reported } = await killedSend(text, wanted, killer);
    const now = await texts("eva");
    const there = now.includes(text);
    expect(now).toEqual(there ? [...expected, text] : expected);
    if (reported) expect(there).toBe(true);
    if (there) expected.push(text);
    ends[reported ? "reported" : there ? "outbox" : "never"] += 1;
  }
  await profiles.objects("eva", ["send", "Kasse", "zuletzt"]);
  expected.push("zuletzt");
  expect(await texts("eva")).toEqual(expected);
  await profiles.close(jan);
  expect(await texts("jan")).toEqual(expected);
  console.log(`command crash: seed ${SEED}, ${ROUNDS} kills over ${whole.writes} writes: ${JSON.stringify(ends)}`);
});
