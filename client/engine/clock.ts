// Owns time and chance as the engine meets them, so that tests can bring their own. The only place that reads the platform's timers.

export interface Clock {
  /** Milliseconds since 1970, by this machine. */
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Runs once, `delay` ms from now; the returned function calls it off. */
  after(delay: number, run: () => void): () => void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (delay, run) => {
    const timer = setTimeout(run, delay);
    return () => clearTimeout(timer);
  },
};
