// What the page of the lock tests offers them: one tab's turns, and what became of them.

import type { Clock } from "../../../client/engine/clock.ts";
import { type Turns, takeTurns } from "../../../client/engine/lock.ts";

const told: string[] = [];
let turns: Turns | undefined;
let putDown: () => void;
let frozen = false;
const timers = new Map<number, () => void>();
let nextTimer = 0;

/** Runs nothing until the test says so. */
const clock: Clock = {
  now: () => 0,
  random: () => 0,
  after: (delay, run) => {
    const id = nextTimer++;
    timers.set(id, () => {
      told.push(`after ${delay}`);
      run();
    });
    return () => timers.delete(id);
  },
};

const page = {
  start: (slow: boolean): void => {
    turns = takeTurns({
      name: "turns",
      serve: async (wanted) => {
        told.push("serve");
        await wanted;
        told.push("wanted");
        if (frozen) await new Promise(() => undefined);
        if (slow) await new Promise<void>((resolve) => (putDown = resolve));
        told.push("put down");
      },
      onElsewhere: () => told.push("elsewhere"),
      onEnd: (error) => told.push(`end ${error instanceof DOMException ? error.name : String(error)}`),
      clock,
    });
  },
  startFailing: (): void => {
    const serve = () => Promise.reject(new Error("no store"));
    turns = takeTurns({
      name: "turns",
      serve,
      onElsewhere: () => undefined,
      onEnd: (error) => told.push(`end ${error}`),
    });
  },
  take: (): void => turns?.take(),
  /** Never lets go again, like a frozen tab. */
  freeze: (): void => {
    frozen = true;
  },
  putDown: (): void => putDown(),
  /** Lets all time pass that anybody waits for. */
  expire: (): void => {
    const due = [...timers.values()];
    timers.clear();
    for (const run of due) run();
  },
  told: (): string[] => told,
};

export type LockPage = typeof page;
Object.assign(globalThis, { page });
