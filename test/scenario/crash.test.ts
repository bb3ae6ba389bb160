import { expect, test } from "vitest";
import type { Engine } from "../../client/engine/view.ts";
import type { ConversationId } from "../../schemas/ids.ts";
import { check, type Observation } from "../support/checker.ts";
import { eachWithProfiles } from "../support/hooks.ts";
import type { Profiles } from "../support/profiles.ts";
import { Random } from "../support/random.ts";
import type { RealServer } from "../support/real-server.ts";
import { Recorder, wholeTimeline } from "../support/recorder.ts";
import { readLogs } from "../support/server-files.ts";

// `npm run chaos` turns these up
const KILLS = Number(process.env.KUVERT_KILLS ?? 20);
const MESSAGES = Number(process.env.KUVERT_MESSAGES ?? 600);
const SEED = Number(process.env.KUVERT_SEED ?? Date.now() % 1_000_000);
const MINUTE = 60_000;
const LIMIT = 10 * MINUTE + KILLS * 10_000 + MESSAGES * 100;
/** How long one engine may take to be caught up with everything. */
const PATIENCE = 2 * MINUTE + MESSAGES * 10;
/** Sends that one engine has in flight at most. */
const IN_FLIGHT = 20;

const random = new Random(SEED);
let server: RealServer;
let profiles: Profiles;

eachWithProfiles((all, its) => {
  profiles = all;
  server = its;
});

/** An owner and others who joined, all online. */
async function company(names: readonly string[]): Promise<Engine[]> {
  const [first = "", ...rest] = names;
  const owner = await profiles.open(first, server.url);
  await owner.signUp({ organisation: "Sturm", name: first, deviceName: "test" });
  const link = await owner.invite({ role: "member", uses: rest.length, expiresIn: 60 * MINUTE });
  const others: Engine[] = [];
  for (const name of rest) {
    const engine = await profiles.open(name, server.url);
    await engine.join({ link, name, deviceName: "test" });
    others.push(engine);
  }
  await owner.settled(MINUTE);
  return [owner, ...others];
}

function meOf(engine: Engine) {
  const { account } = engine.snapshot();
  if (account === null) throw new Error("no account");
  return account.member.id;
}

/** Founds a group and waits until everybody is in it. */
async function found(engines: readonly Engine[], title: string): Promise<ConversationId> {
  const [founder, ...others] = engines as [Engine, ...Engine[]];
  await founder.settled(MINUTE);
  const conversation = await founder.create({ title, members: others.map(meOf) });
  const isIn = (engine: Engine) =>
    engine.snapshot().conversations.some(({ id, state }) => id === conversation && state === "active");
  for (const engine of engines) await expect.poll(() => isIn(engine), { timeout: MINUTE }).toBe(true);
  await Promise.all(engines.map((engine) => engine.settled(MINUTE)));
  return conversation;
}

/** Sends until `done`, never with more than a few unanswered. */
async function chatter(recorder: Recorder, done: () => boolean): Promise<void> {
  while (!done()) {
    if (recorder.waiting.size >= IN_FLIGHT) {
      await new Promise((next) => setTimeout(next, 5));
      continue;
    }
    const length = random.next() < 0.02 ? random.between(2_000, 8_000) : random.between(1, 300);
    await recorder.send(`${recorder.device} ${recorder.sent} `.padEnd(length, "äöü·"));
  }
}

/** Kills the runtime at random moments; returns how long each time until something was stored again, in ms. */
async function storm(acknowledged: () => number): Promise<number[]> {
  const recoveries: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    await new Promise((next) => setTimeout(next, random.between(50, 1_500)));
    const before = acknowledged();
    const at = performance.now();
    await server.crash();
    await expect.poll(acknowledged, { timeout: MINUTE, interval: 10 }).toBeGreaterThan(before);
    recoveries.push(performance.now() - at);
  }
  return recoveries;
}

test(`T19: ${KILLS} kills in mid-stream lose, repeat and reorder nothing (seed ${SEED})`, {
  timeout: LIMIT,
}, async () => {
  const engines = await company(["a", "b", "c", "d", "sleeper"]);
  const awake = engines.slice(0, 4);
  // The sleeper's part of the log has to be kept by the server, so that it can be compared whole
  const rooms = [
    { id: await found(engines, "alle"), engines: awake, history: [] as Observation[] },
    {
      id: await found([engines[1], engines[2], engines[4]] as Engine[], "drei"),
      engines: awake.slice(1, 3),
      history: [],
    },
  ];
  await profiles.close(engines[4] as Engine);

  const recorders = rooms.flatMap(({ id, engines, history }) =>
    engines.map((engine) => {
      const device = "abcd"[awake.indexOf(engine)] ?? "";
      return new Recorder({ device, engine, conversation: id, history });
    }),
  );
  const total = (what: "sent" | "stored") => recorders.reduce((sum, recorder) => sum + recorder[what], 0);
  const begun = performance.now();
  let stormy = true;
  const storming = storm(() => total("stored")).finally(() => {
    stormy = false;
  });
  const enough = () => !stormy && total("sent") >= MESSAGES;
  await Promise.all(recorders.map((recorder) => chatter(recorder, enough)));
  const recoveries = (await storming).sort((a, b) => a - b);
  await Promise.all(awake.map((engine) => engine.settled(PATIENCE)));
  const seconds = (performance.now() - begun) / 1_000;
  await Promise.all(recorders.map((recorder) => recorder.stop()));

  // Once the sleeper has it too, the server may forget it
  await server.stop();
  const logs = readLogs(server.state);
  await server.start();
  const sleeper = await profiles.open("sleeper", server.url);
  const woken = performance.now();
  await sleeper.settled(PATIENCE);
  const caughtUp = (performance.now() - woken) / 1_000;

  const timelines = await Promise.all(
    rooms.map(({ id, engines }) => Promise.all([...engines, sleeper].map((engine) => wholeTimeline(engine, id)))),
  );
  const states = [...awake, sleeper].flatMap((engine) => engine.snapshot().conversations.map(({ state }) => state));
  await profiles.close(sleeper);
  for (const engine of awake) await profiles.close(engine);
  await server.stop();

  expect(new Set(states)).toEqual(new Set(["active"]));
  for (const [index, { history }] of rooms.entries()) {
    const [own = [], ...others] = timelines[index] ?? [];
    const lines = own.filter(({ body }) => body.kind === "text").map(({ key, seq, body }) => ({ key, seq, body }));
    for (const other of others) {
      expect(
        other.filter(({ body }) => body.kind === "text").map(({ key, seq, body }) => ({ key, seq, body })),
      ).toEqual(lines);
    }
    const known = new Set(lines.map(({ key }) => key));
    const log = logs.find((rows) => rows.some(({ mid }) => mid !== null && known.has(mid)));
    expect(log?.map(({ seq }) => seq)).toEqual(log?.map((_, row) => row + 1));
    // Titles travel as messages too; they are nobody's text
    const rows = log?.map((row) => (row.mid !== null && !known.has(row.mid) ? { ...row, mid: null } : row)) ?? [];
    expect(check(history, rows)).toEqual([]);
    expect(lines).toHaveLength(history.filter(({ type }) => type === "invoke").length);
  }
  const sent = total("sent");
  expect(total("stored")).toBe(sent);
  const at = (share: number) => Math.round(recoveries[Math.floor((recoveries.length - 1) * share)] ?? 0);
  console.log(
    `crash: seed ${SEED}, ${KILLS} kills, ${sent} messages in ${seconds.toFixed(1)} s, kill to next stored message ` +
      `p50 ${at(0.5)} ms, max ${at(1)} ms; ${sent} caught up by a sleeper in ${caughtUp.toFixed(1)} s; no anomaly`,
  );
});
