// Owns how the Worker calls an object: a fresh stub per attempt, again where the platform says it may, never when overloaded.
// Every call it is used for may be repeated without harm.

import { isRefusal, Refusal } from "../schemas/refusal.ts";
import { traceBug } from "./trace.ts";

const ATTEMPTS = 3;

/**
 * Calls an object until it answers; `call` must make its stub anew, because one that has thrown is broken.
 * @throws {Refusal} whatever the object refuses; unavailable — it is overloaded or out of reach
 */
export async function reach<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (isRefusal(error)) throw new Refusal(error.code, error.detail);
      if (isMarked(error, "overloaded")) throw new Refusal("unavailable", { retryAfter: 5_000 });
      if (!isMarked(error, "retryable")) throw error;
      if (attempt >= ATTEMPTS) throw new Refusal("unavailable", { reference: traceBug("object", error) });
      await scheduler.wait(Math.random() * 50 * 2 ** attempt);
    }
  }
}

function isMarked(error: unknown, mark: "overloaded" | "retryable"): boolean {
  return error instanceof Error && mark in error && error[mark as keyof Error] === (true as unknown);
}
