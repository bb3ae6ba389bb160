// Owns what the benchmark reads off the machine: processor time and memory of a process, pinning, medians. Knows no workload.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const TICK_MS = 10;
export const twoCores = availableParallelism() >= 2;
/** Command prefix that puts a server on the first core, where there are two. */
export const onServerCore: readonly string[] = twoCores ? ["taskset", "-c", "0"] : [];

/** Moves this process, the load, to the second core. */
export function takeLoadCore(): void {
  take("1");
}

/** Lets this process and what it starts have both cores: a browser that is measured is no load. */
export function takeBothCores(): void {
  take("0,1");
}

function take(cores: string): void {
  if (twoCores) execFileSync("taskset", ["-a", "-cp", cores, String(process.pid)], { stdio: "ignore" });
}

/** User and system time of a process in ms, to 10 ms (proc(5), fields 14 and 15 of stat). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Resident memory of a process in KiB. */
export function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Nearest-rank percentile; `share` 0…1. NaN for no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Waits until a process has hardly used the processor for a second, at most a minute: what it still owes others must not be measured. */
export async function idle(pid: number): Promise<void> {
  let calm = 0;
  for (let turn = 0; turn < 240 && calm < 4; turn++) {
    const before = cpuMs(pid);
    await pause(250);
    calm = cpuMs(pid) - before <= TICK_MS ? calm + 1 : 0;
  }
}

/** Longer than workerd keeps an object that nobody uses, in ms. */
const KEPT = 11_000;

/**
 * Waits until a process has put away what nobody uses any more, at most a minute. The runtime evicts objects ten seconds after their last
 * use, many at once after a set-up, and closing their files holds up everybody else for a second or more without using the processor.
 */
export async function settled(pid: number): Promise<void> {
  const opened = (): number => readdirSync(`/proc/${pid}/fd`).length;
  let calmSince = performance.now();
  let before = { cpu: cpuMs(pid), files: opened() };
  for (let turn = 0; turn < 240 && performance.now() - calmSince < KEPT; turn++) {
    await pause(250);
    const now = { cpu: cpuMs(pid), files: opened() };
    if (now.cpu - before.cpu > TICK_MS || now.files !== before.files) calmSince = performance.now();
    before = now;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
