// `npm run bench`: measures the product beside bare floors, and what growth costs a device, in rounds; prints medians as a table and as JSON.
//   --rounds N (3)   --seconds N (3)   --only WORD (works whose name contains it)   --json FILE

import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { build } from "../scripts/build.ts";
import { measureBrowser } from "./browser.ts";
import { measureCost } from "./cost.ts";
import { durableRoom, objectRoom, volatileRoom } from "./floors/floors.ts";
import { measureGaining } from "./gaining.ts";
import { idle, median, settled, takeBothCores, takeLoadCore, twoCores } from "./machine.ts";
import { type Figure, judge, PRODUCT } from "./marks.ts";
import { foundCompany, productTarget, startProduct } from "./product.ts";
import { catchUp, idleMemory, reconnect, stalled, timers, timersAfterCrash } from "./single.ts";
import type { Target } from "./target.ts";
import { pace, quiet, saturate } from "./workloads.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    json: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const wanted = (work: string): boolean => work.toLowerCase().includes(values.only.toLowerCase());

const SATURATIONS = [
  { work: "1 × 10 saturated", rooms: 1, size: 10 },
  { work: "1 × 100 saturated", rooms: 1, size: 100 },
  { work: "1 × 1,000 saturated", rooms: 1, size: 1_000 },
  { work: "500 × 4 saturated", rooms: 500, size: 4 },
] as const;
const PACES = [
  { work: "1 × 10 at 100/s", size: 10, rate: 100 },
  { work: "1 × 100 at 20/s", size: 100, rate: 20 },
  { work: "1 × 1,000 at 2/s", size: 1_000, rate: 2 },
] as const;

const FILLED_AT_ONCE = 10;

const samples: Figure[] = [];
let room = 0;

/** Keeps what one part has measured, and shows it at once: a later part that fails must not take it along. */
function keep(figures: readonly Figure[]): void {
  samples.push(...figures);
  for (const { work, measure, value, unit } of figures)
    console.error(`    ${work}, ${measure}: ${shown(value)} ${unit}`);
}

const shown = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 2 : 0 });

async function fillRooms(target: Target, count: number, size: number) {
  const rooms = [];
  for (let at = 0; at < count; at += FILLED_AT_ONCE) {
    const batch = Array.from({ length: Math.min(FILLED_AT_ONCE, count - at) }, () => target.fill(room++, size));
    rooms.push(...(await Promise.all(batch)));
  }
  return rooms;
}

/** Does one part of a round and says how long it took: the whole has to stay within minutes. */
async function part<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await work();
  const [load = 0] = loadavg();
  console.error(`  ${name}: ${((performance.now() - start) / 1_000).toFixed(0)} s, load average ${load.toFixed(1)}`);
  return result;
}

async function measureTarget(target: Target): Promise<void> {
  const figure = (work: string, measure: string, unit: string, value: number): Figure => {
    return { work, target: target.name, measure, unit, value };
  };
  for (const { work, rooms: count, size } of SATURATIONS.filter(({ work }) => wanted(work))) {
    const rooms = await part(`${target.name}: set-up of ${work}`, () => fillRooms(target, count, size));
    await settled(target.pid);
    const result = await part(`${target.name}: ${work}`, () => saturate({ pid: target.pid, rooms, seconds }));
    keep([
      figure(work, "server CPU per delivery", "µs", result.cpuPerDelivery),
      figure(work, "deliveries", "/s", result.deliveriesPerSecond),
      figure(work, "accepted", "/s", result.acceptedPerSecond),
    ]);
    for (const peer of rooms.flat()) peer.close();
  }
  for (const { work, size, rate } of PACES.filter(({ work }) => wanted(work))) {
    const [peers = []] = await fillRooms(target, 1, size);
    await quiet(peers);
    await settled(target.pid);
    const length = Math.max(seconds, 20 / rate);
    const result = await part(`${target.name}: ${work}`, () => pace({ peers, rate, seconds: length }));
    keep([figure(work, "latency p50", "ms", result.p50), figure(work, "latency p99", "ms", result.p99)]);
    for (const peer of peers) peer.close();
  }
}

const isLoadWanted = [...SATURATIONS, ...PACES].some(({ work }) => wanted(work));
// Memory comes first, while the server is new: what later works have freed would hide what a socket takes
const FIRST = { idle: idleMemory };
const SINGLES = { reconnect, "catch-up": catchUp, stalled, timers, crash: timersAfterCrash };

async function measureProduct(): Promise<void> {
  if (!isLoadWanted && !Object.keys({ ...FIRST, ...SINGLES }).some(wanted)) return;
  const running = await startProduct();
  try {
    const company = await part("company of 1,000", () => foundCompany(running.url, 1_000));
    await idle(running.workerdPid);
    const measureAll = async (singles: Readonly<Record<string, typeof reconnect>>): Promise<void> => {
      for (const [name, measure] of Object.entries(singles)) {
        if (wanted(name)) keep(await part(name, () => measure(running, company)));
      }
    };
    await measureAll(FIRST);
    await measureTarget(await productTarget(running, company));
    await measureAll(SINGLES);
  } finally {
    await running.dispose();
  }
}

async function measureFloors(): Promise<void> {
  if (!isLoadWanted) return;
  for (const make of [volatileRoom, durableRoom, () => objectRoom("bare"), () => objectRoom("grouped")]) {
    const target = await make();
    try {
      await measureTarget(target);
    } finally {
      await target.stop();
    }
  }
}

/** One figure for each work, target and measure: the median of its rounds. */
function medians(): Figure[] {
  const groups = Map.groupBy(samples, ({ work, target, measure }) => `${work}|${target}|${measure}`);
  return [...groups.values()].map((group) => ({
    ...(group[0] as Figure),
    value: median(group.map(({ value }) => value)),
  }));
}

function print(figures: readonly Figure[]): void {
  const rows = figures.map((figure) => {
    const product = figures.find(
      ({ work, measure, target }) => target === PRODUCT && work === figure.work && measure === figure.measure,
    );
    const ratio = product === undefined || figure.target === PRODUCT ? "" : (product.value / figure.value).toFixed(2);
    return [
      figure.work,
      figure.measure,
      figure.target,
      `${shown(figure.value)} ${figure.unit}`,
      ratio,
      judge(figure, figures),
    ];
  });
  const head = ["work", "measure", "target", "median", "Kuvert ÷ it", "mark"];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  console.log([line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n"));
}

await build();
console.log(`${rounds} rounds, medians; ${twoCores ? "server on one core, load on the other" : "one core for both"}\n`);
for (let round = 1; round <= rounds; round++) {
  console.error(`round ${round} of ${rounds}`);
  takeLoadCore();
  await measureProduct();
  await measureFloors();
  takeBothCores();
  const inChromium = { browser: measureBrowser, "cost of size": measureCost, "cost of a device": measureGaining };
  for (const [name, measure] of Object.entries(inChromium)) {
    if (wanted(name)) keep(await part(name, measure));
  }
}
const figures = medians().sort((a, b) => a.work.localeCompare(b.work) || a.measure.localeCompare(b.measure));
print(figures);
if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({ rounds, seconds, load: loadavg(), figures, samples }, null, 2));
