// Owns the shapes of load and what they measure. Knows peers only, neither protocol nor server.

import { cpuMs, pause, percentile } from "./machine.ts";
import type { Peer } from "./target.ts";

export interface Saturation {
  readonly deliveriesPerSecond: number;
  readonly acceptedPerSecond: number;
  /** Server processor time per delivery in µs. */
  readonly cpuPerDelivery: number;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly samples: number;
}

const payloadSize = (at: number): number => 300 + ((at * 37) % 701);

/** How many sends one room keeps in flight while it is saturated. */
const IN_FLIGHT = 128;

/** How long rooms may take to get going, in ms: an object's first writes cost the runtime far more than the later ones. */
const WARM_UP = { least: 3_000, most: 30_000 };

/**
 * Keeps every room full for `seconds`, counted from when each of them has delivered: up to ten senders each, always {@link IN_FLIGHT}
 * unanswered sends in a room of a few, fewer per room of many.
 */
export async function saturate(load: { pid: number; rooms: readonly Peer[][]; seconds: number }): Promise<Saturation> {
  const { pid, rooms, seconds } = load;
  const inFlight = Math.max(2, Math.ceil(IN_FLIGHT / Math.ceil(rooms.length / 4)));
  const silent = new Set(rooms);
  let running = true;
  let deliveries = 0;
  let accepted = 0;
  const drive = (peers: Peer[]): void => {
    const senders = peers.slice(0, 10);
    const [first] = peers;
    if (first === undefined) return;
    let sent = 0;
    let echoed = 0;
    const top = (): void => {
      while (running && sent - echoed < inFlight) {
        senders[sent % senders.length]?.send(payloadSize(sent), 0);
        sent++;
      }
    };
    for (const peer of peers) {
      peer.onDelivery = (count) => {
        if (running) deliveries += count;
        if (peer !== first) return;
        silent.delete(peers);
        echoed += count;
        if (running) accepted += count;
        top();
      };
    }
    top();
  };
  for (const peers of rooms) drive(peers);
  await pause(WARM_UP.least);
  for (let waited = WARM_UP.least; silent.size > 0 && waited < WARM_UP.most; waited += 100) await pause(100);
  deliveries = 0;
  accepted = 0;
  const before = { cpu: cpuMs(pid), at: performance.now() };
  await pause(seconds * 1000);
  running = false;
  const cpu = cpuMs(pid) - before.cpu;
  const elapsed = (performance.now() - before.at) / 1000;
  const result = {
    deliveriesPerSecond: deliveries / elapsed,
    acceptedPerSecond: accepted / elapsed,
    cpuPerDelivery: (cpu * 1000) / deliveries,
  };
  await quiet(rooms.flat());
  return result;
}

/** Waits until nothing has arrived for 200 ms, at most 20 s, then stops listening. */
export async function quiet(peers: readonly Peer[]): Promise<void> {
  let last = performance.now();
  for (const peer of peers) {
    peer.onDelivery = () => {
      last = performance.now();
    };
  }
  for (let turn = 0; turn < 200 && performance.now() - last < 200; turn++) await pause(100);
  for (const peer of peers) peer.onDelivery = null;
}

/**
 * Sends `rate` messages a second into one room for `seconds` and measures send → delivery on at most 50 of its peers, in ms. A second's worth
 * of messages, at least five, goes first and is not measured: it wakes the room.
 */
export async function pace(load: { peers: readonly Peer[]; rate: number; seconds: number }): Promise<Latency> {
  const { peers, rate, seconds } = load;
  await sendPaced(peers, { rate, count: Math.max(5, rate) });
  await quiet(peers);
  const times: number[] = [];
  const step = Math.max(1, Math.floor(peers.length / 50));
  const sampled = peers.filter((_, at) => at % step === 0);
  for (const peer of sampled) {
    peer.sample = true;
    peer.onDelivery = (_, stamps) => {
      const now = performance.now();
      for (const stamp of stamps) times.push(now - stamp);
    };
  }
  await sendPaced(peers, { rate, count: rate * seconds });
  await pause(300);
  for (const peer of sampled) {
    peer.sample = false;
    peer.onDelivery = null;
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), samples: times.length };
}

/** Sends `count` messages, `rate` a second, by up to ten of the peers in turn. */
async function sendPaced(
  peers: readonly Peer[],
  { rate, count }: { readonly rate: number; readonly count: number },
): Promise<void> {
  const start = performance.now();
  for (let at = 0; at < count; at++) {
    const due = start + (at * 1000) / rate;
    if (due > performance.now()) await pause(due - performance.now());
    peers[at % Math.min(10, peers.length)]?.send(payloadSize(at), performance.now());
  }
}
