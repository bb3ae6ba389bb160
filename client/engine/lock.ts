// Owns whose turn it is among the tabs of one browser: the one that holds the Web Lock has the engine, the others wait and may ask
// for it. Knows nothing of what is done with the turn.

import { type Clock, systemClock } from "./clock.ts";

export interface TurnsOptions {
  /** The lock's name, one for the whole origin. */
  readonly name: string;
  /** It is this tab's turn: works until `wanted` resolves, because another tab asked, then puts everything down and settles. */
  readonly serve: (wanted: Promise<void>) => Promise<void>;
  /** Another tab has its turn, told once between two turns, and not at all when the wait is short, as in a reload. */
  readonly onElsewhere: () => void;
  /** It is over for this tab: `serve` failed with this, or another tab took the turn by force (then an AbortError). */
  readonly onEnd: (error: unknown) => void;
  readonly clock?: Clock;
}

export interface Turns {
  /** Asks whoever has the turn for it, and takes it by force when nobody answers: a frozen tab cannot hand over. */
  take(): void;
}

/** Times in ms. A reload lets go of the lock within PATIENCE; who has not handed over within GRACE never will. */
const PATIENCE = 500;
const GRACE = 5_000;

/** Queues for the turn at once, and again after every turn. */
export function takeTurns({ name, serve, onElsewhere, onEnd, clock = systemClock }: TurnsOptions): Turns {
  const asking = new BroadcastChannel(name);
  let giveWay: (() => void) | undefined;
  let waiting = new AbortController();
  let told = false;
  let over = false;

  const elsewhere = (): void => {
    if (!told) onElsewhere();
    told = true;
  };

  const work = async (): Promise<void> => {
    const { promise: wanted, resolve } = Promise.withResolvers<void>();
    giveWay = resolve;
    told = false;
    try {
      await serve(wanted);
    } finally {
      giveWay = undefined;
    }
  };

  const end = (error: unknown): void => {
    over = true;
    giveWay?.();
    asking.close();
    onEnd(error);
  };

  const queue = async (steal: boolean): Promise<void> => {
    waiting = new AbortController();
    // A request that steals cannot be taken back
    const options = steal ? { steal } : { signal: waiting.signal };
    const patient = clock.after(PATIENCE, elsewhere);
    let granted = false;
    try {
      await navigator.locks.request(name, options, () => {
        granted = true;
        patient();
        return work();
      });
    } catch (error) {
      patient();
      if (granted) end(error);
      return;
    }
    elsewhere();
    void queue(false);
  };

  asking.onmessage = () => {
    if (giveWay !== undefined) giveWay();
    else {
      // Steps behind whoever asked
      waiting.abort();
      void queue(false);
    }
  };
  void queue(false);

  return {
    take: () => {
      if (over || giveWay !== undefined) return;
      asking.postMessage("take");
      clock.after(GRACE, () => {
        if (over || giveWay !== undefined) return;
        waiting.abort();
        void queue(true);
      });
    },
  };
}
