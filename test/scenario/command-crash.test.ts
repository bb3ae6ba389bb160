import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Profiles } from "../support/profiles.ts";
import { Random } from "../support/random.ts";
import { RealServer } from "../support/real-server.ts";

const SEED = Number(process.env.KUVERT_SEED ?? Date.now() % 1_000_000);
const ROUNDS = 14;

const random = new Random(SEED);
let server: RealServer;
let profiles: Profiles;

beforeAll(async () => {
  profiles = new Profiles();
  server = await RealServer.start();
});
afterAll(async () => {
  await profiles.dispose();
  await server.dispose();
});

async function texts(name: string): Promise<string[]> {
  const lines = await profiles.objects(name, ["history", "Kasse", "--limit", "1000"]);
  return lines.flatMap(({ type, text }) => (type === "message" ? [String(text)] : []));
}

/** Starts `kuvert send`, kills it after `delay` ms, and says whether it had reported the message as stored. */
async function killedSend(text: string, delay: number): Promise<boolean> {
  const child = profiles.spawn("eva", ["send", "Kasse", text, "--json"]);
  let out = "";
  child.stdout?.on("data", (data: Buffer) => {
    out += data.toString();
  });
  const ended = once(child, "close");
  const timer = setTimeout(() => child.kill("SIGKILL"), delay);
  await ended;
  clearTimeout(timer);
  return out.includes('"type":"message"');
}

test(`T crash: a send killed with -9 is lost whole or sent once (seed ${SEED})`, { timeout: 90_000 }, async () => {
  await profiles.objects("eva", ["signup", "--organisation", "K", "--name", "Eva", "--server", server.url]);
  const [invite] = await profiles.objects("eva", ["invite"]);
  await profiles.objects("jan", ["join", String(invite?.link), "--name", "Jan"]);
  await profiles.objects("eva", ["create", "--title", "Kasse", "Jan"]);

  const begun = performance.now();
  await profiles.objects("eva", ["send", "Kasse", "warm"]);
  const usual = performance.now() - begun;

  const expected = ["warm"];
  const ends = { reported: 0, outbox: 0, never: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const text = `Nachricht ${round}`;
    const reported = await killedSend(text, random.between(usual * 0.3, usual * 1.1));
    // Any other command puts out what waits
    const there = (await texts("eva")).includes(text);
    if (reported) expect(there).toBe(true);
    if (!there) await profiles.objects("eva", ["send", "Kasse", text]);
    ends[reported ? "reported" : there ? "outbox" : "never"] += 1;
    expected.push(text);
    expect(await texts("eva")).toEqual(expected);
  }
  expect(await texts("jan")).toEqual(expected);
  console.log(`command crash: seed ${SEED}, ${ROUNDS} kills: ${JSON.stringify(ends)}`);
});
