// Owns the works that only the product can be measured by: memory, reconnect storm, catch-up, stalled members, timers.

import { cpuMs, idle, median, pause, percentile, residentKib, settled } from "./machine.ts";
import { type Figure, PRODUCT } from "./marks.ts";
import {
  type Company,
  fillConversation,
  foundConversation,
  type Person,
  ProductPeer,
  type Running,
} from "./product.ts";
import { pace, quiet } from "./workloads.ts";

const figure = (work: string, measure: string, unit: string, value: number): Figure => ({
  work,
  target: PRODUCT,
  measure,
  unit,
  value,
});

function closeAll(peers: readonly ProductPeer[]): void {
  for (const peer of peers) peer.close();
}

const LIVE_CONVERSATIONS = 300;
const FOUNDED_AT_ONCE = 10;

/**
 * Resident memory of one idle socket more, and of one live conversation of two more. What the runtime takes for its first thousand
 * sockets is its own: they stay open, and two further thousands, each in a conversation of its own, are what is counted.
 */
export async function idleMemory(running: Running, { people }: Company): Promise<Figure[]> {
  const { url } = running;
  const peers: ProductPeer[] = [];
  const settled = async (): Promise<number> => {
    await idle(running.workerdPid);
    return residentKib(running.workerdPid);
  };
  const fill = async (): Promise<number> => {
    peers.push(...(await fillConversation(url, await foundConversation(url, people), people)));
    return settled();
  };
  const first = await fill();
  await fill();
  const perSocket = ((await fill()) - first) / (2 * people.length);
  closeAll(peers);
  const before = await settled();
  const live: ProductPeer[] = [];
  for (let at = 0; at < LIVE_CONVERSATIONS; at += FOUNDED_AT_ONCE) {
    const pairs = Array.from({ length: FOUNDED_AT_ONCE }, (_, offset) =>
      people.slice((at + offset) * 2, (at + offset) * 2 + 2),
    );
    const filled = pairs.map(async (pair) => fillConversation(url, await foundConversation(url, pair), pair));
    live.push(...(await Promise.all(filled)).flat());
  }
  const perConversation = ((await settled()) - before) / LIVE_CONVERSATIONS;
  closeAll(live);
  return [
    figure("idle", "memory per socket", "KiB", perSocket),
    figure("idle", "memory per live conversation", "KiB", perConversation),
  ];
}

/** All devices of a conversation connect at once, each having missed 100 envelopes. */
export async function reconnect(running: Running, { people }: Company): Promise<Figure[]> {
  const { url } = running;
  const conversation = await foundConversation(url, people);
  await append({ url, conversation, person: people[0] as Person, count: 100 });
  // Everybody's mailbox was told of the hundred: that is not part of coming back
  await idle(running.workerdPid);
  const cpu = cpuMs(running.workerdPid);
  const start = performance.now();
  const seats = people.map((person) => ({ url, person, conversation, epoch: 1, after: 1 }));
  const peers = await Promise.all(seats.map((seat) => ProductPeer.open(seat)));
  const elapsed = performance.now() - start;
  const spent = cpuMs(running.workerdPid) - cpu;
  const complete = peers.every(({ seq }) => seq >= 101);
  closeAll(peers);
  if (!complete) throw new Error("a device did not catch up");
  return [
    figure("1,000 reconnect, 100 missed", "all complete", "ms", elapsed),
    figure("1,000 reconnect, 100 missed", "server CPU", "ms", spent),
  ];
}

interface Append {
  readonly url: string;
  readonly conversation: Parameters<typeof fillConversation>[1];
  readonly person: Person;
  readonly count: number;
}

/** Appends `count` envelopes of 500 bytes by one device. */
async function append({ url, conversation, person, count }: Append): Promise<void> {
  const writer = await ProductPeer.open({ url, person, conversation, epoch: 1, after: 1 });
  const target = writer.seq + count;
  for (let sent = 0; sent < count; ) {
    for (; sent < count && sent - (writer.seq - 1) < 150; sent++) writer.send(500, 0);
    await pause(1);
  }
  while (writer.seq < target) await pause(5);
  writer.close();
}

/** One device pulls 10,000 envelopes: the server's processor time and the whole time. */
export async function catchUp(running: Running, company: Company): Promise<Figure[]> {
  const { url } = running;
  const people = company.people.slice(0, 2);
  const conversation = await foundConversation(url, people);
  await append({ url, conversation, person: people[0] as Person, count: 10_000 });
  const cpu = cpuMs(running.workerdPid);
  const start = performance.now();
  const peer = await ProductPeer.open({ url, person: people[1] as Person, conversation, epoch: 1, after: 1 });
  const figures = [
    figure("catch-up of 10,000", "server CPU", "ms", cpuMs(running.workerdPid) - cpu),
    figure("catch-up of 10,000", "whole time", "ms", performance.now() - start),
  ];
  peer.close();
  return figures;
}

/** Pairs of windows with and without stalled members, and how long each is in s. */
const WINDOWS = { pairs: 8, seconds: 1 };
/** Messages a second while some are stalled, and for how many s they are sent before anything is measured: until the server stops pushing. */
const STALLING = { rate: 100, seconds: 5 };

/**
 * What ten members that stop reading cost the other ninety, and the server. Two conversations alike but for the stalled ten take turns
 * second by second, so that whatever else the machine does falls on both.
 */
export async function stalled(running: Running, company: Company): Promise<Figure[]> {
  const people = company.people.slice(0, 100);
  const fill = async () => {
    const peers = await fillConversation(running.url, await foundConversation(running.url, people), people);
    await quiet(peers);
    return { all: peers, others: peers.slice(0, 90) };
  };
  const [well, ill] = [await fill(), await fill()];
  await settled(running.workerdPid);
  await pace({ peers: well.others, rate: STALLING.rate, seconds: STALLING.seconds });
  const memory = residentKib(running.workerdPid);
  for (const peer of ill.all.slice(90)) peer.stall();
  await pace({ peers: ill.others, rate: STALLING.rate, seconds: STALLING.seconds });
  // As much as before went to as many: what is more is what waits for those who do not read
  const grown = residentKib(running.workerdPid) - memory;
  const without: number[] = [];
  const within: number[] = [];
  for (let pair = 0; pair < WINDOWS.pairs; pair++) {
    const turns = [
      { peers: well.others, p99s: without },
      { peers: ill.others, p99s: within },
    ];
    for (const { peers, p99s } of pair % 2 === 0 ? turns : turns.reverse()) {
      p99s.push((await pace({ peers, rate: STALLING.rate, seconds: WINDOWS.seconds })).p99);
    }
  }
  closeAll([...well.all, ...ill.all]);
  const change = 100 * (median(within) / median(without) - 1);
  return [
    figure("10 of 100 stalled", "others' p99 change", "%", change),
    figure("10 of 100 stalled", "memory per stalled socket", "KiB", Math.max(0, grown) / 10),
  ];
}

const TIMER_MS = 10_000;
const POLL_MS = 25;

interface Watched {
  readonly acceptedAt: number;
  readonly expiresAt: number;
}

/** Pulls the log until every timed envelope is destroyed; ms from due to first seen destroyed, negative when early. Server clock. */
async function watch(peer: ProductPeer, waiting: Map<number, Watched>): Promise<number[]> {
  const lateness: number[] = [];
  const give_up = performance.now() + 4 * TIMER_MS;
  peer.onFrame = (frame) => {
    if (frame.type !== "envelopes") return;
    for (const { seq, bytes } of frame.envelopes) {
      const watched = waiting.get(seq);
      if (watched === undefined || bytes !== null) continue;
      lateness.push(frame.now - watched.expiresAt);
      waiting.delete(seq);
    }
  };
  while (waiting.size > 0 && performance.now() < give_up) {
    peer.pull(1);
    await pause(POLL_MS);
  }
  peer.onFrame = null;
  if (waiting.size > 0) throw new Error(`${waiting.size} timed envelopes were never destroyed`);
  return lateness;
}

/** Sends `count` timed messages over about two seconds and notes when each is due. The second person never confirms, so that only timers destroy. */
async function sendTimed(running: Running, company: Company, count: number) {
  const people = company.people.slice(0, 3);
  const conversation = await foundConversation(running.url, people);
  const [sender] = await fillConversation(running.url, conversation, people.slice(0, 1));
  if (sender === undefined) throw new Error("nobody to send");
  const waiting = new Map<number, Watched>();
  sender.onFrame = (frame) => {
    if (frame.type !== "envelopes") return;
    for (const { seq, acceptedAt, expiresAt } of frame.envelopes) {
      if (expiresAt !== null) waiting.set(seq, { acceptedAt, expiresAt });
    }
  };
  for (let at = 0; at < count; at++) {
    sender.sendTimed(TIMER_MS);
    await pause(2_000 / count);
  }
  while (waiting.size < count) await pause(10);
  sender.onFrame = null;
  return { conversation, person: people[0] as Person, sender, waiting };
}

/** How late the alarm destroys what is due. */
export async function timers(running: Running, company: Company): Promise<Figure[]> {
  const { sender, waiting } = await sendTimed(running, company, 100);
  const lateness = await watch(sender, waiting);
  sender.close();
  return [
    figure("timers", "lateness p99", "ms", percentile(lateness, 0.99)),
    figure("timers", "earliest", "ms", Math.min(...lateness)),
  ];
}

/** How late it is when the runtime was dead at the due time. */
export async function timersAfterCrash(running: Running, company: Company): Promise<Figure[]> {
  const { conversation, person, sender, waiting } = await sendTimed(running, company, 20);
  sender.close();
  const due = Math.max(...[...waiting.values()].map(({ expiresAt }) => expiresAt));
  await pause(due - Date.now() - 500);
  await running.crash();
  const restarted = Date.now();
  const peer = await ProductPeer.open({ url: running.url, person, conversation, epoch: 1, after: 1 });
  const lateness = await watch(peer, waiting);
  peer.close();
  const afterRestart = Math.max(...lateness) + due - Math.max(due, restarted);
  return [figure("timers after a crash", "lateness after restart", "ms", afterRestart)];
}
