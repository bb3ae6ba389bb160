// Waiting for what comes by itself, on a machine that may be busy.

import { vi } from "vitest";

/** Looks until a check holds; how long it may take says nothing of how long it should. */
export const eventually = <Value>(check: () => Value | Promise<Value>): Promise<Value> =>
  vi.waitFor(check, { timeout: 20_000, interval: 10 });
