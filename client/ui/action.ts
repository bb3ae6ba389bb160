// Owns what every button that asks the engine for something needs: busy while it runs, and the sentence when it was refused.

import { type Accessor, createSignal } from "solid-js";
import { explain } from "./language.ts";

export interface Action {
  readonly busy: Accessor<boolean>;
  /** Why the last run failed, in the language spoken now; null when it did not. */
  readonly problem: Accessor<string | null>;
  /** Runs `work` unless it is running already; true when it went through. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

/** A place for one action at a time. */
export function createAction(): Action {
  const [busy, setBusy] = createSignal(false);
  const [failure, setFailure] = createSignal<{ error: unknown } | null>(null);
  return {
    busy,
    problem: () => {
      const failed = failure();
      return failed === null ? null : explain(failed.error);
    },
    run: async (work) => {
      if (busy()) return false;
      setBusy(true);
      setFailure(null);
      try {
        await work();
        return true;
      } catch (error) {
        setFailure({ error });
        return false;
      } finally {
        setBusy(false);
      }
    },
  };
}
