// Owns waiting for the engine: until it is caught up, until a condition holds, and what it means when that takes too long.

import type { Engine, Snapshot } from "../engine/view.ts";
import { Failure, refused, toFailure } from "./failure.ts";

interface Patience {
  readonly engine: Engine;
  readonly server: string;
  /** In ms. */
  readonly timeout: number;
  readonly interrupted: AbortSignal;
}

/**
 * Resolves with the first value other than undefined that `look` finds, now or after any engine event.
 * @throws {Failure} unreachable, timeout — when it takes longer than the timeout; interrupted — when the person says so;
 * the code the server ended this device with
 */
export function until<Value>(
  { engine, server, timeout, interrupted }: Patience,
  look: () => Promise<Value | undefined> | Value | undefined,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    let looking = false;
    let again = false;
    const finish = (settle: () => void): void => {
      off();
      clearTimeout(timer);
      interrupted.removeEventListener("abort", interrupt);
      settle();
    };
    const interrupt = (): void => finish(() => reject(interrupted.reason));
    const check = async (): Promise<void> => {
      again = looking;
      if (looking) return;
      looking = true;
      try {
        const value = await look();
        const { phase, code } = engine.snapshot();
        if (value !== undefined) finish(() => resolve(value));
        else if (phase === "ended") finish(() => reject(refused(code ?? "unauthenticated")));
      } catch (error) {
        finish(() => reject(error));
      }
      looking = false;
      if (again) void check();
    };
    const off = engine.on(() => void check());
    const timer = setTimeout(() => finish(() => reject(tooLong(engine.snapshot(), server))), timeout);
    interrupted.addEventListener("abort", interrupt);
    if (interrupted.aborted) interrupt();
    else void check();
  });
}

function tooLong({ connection }: Snapshot, server: string): Failure {
  if (connection === "online") return new Failure("timeout", `${server} did not answer in time`);
  return new Failure("unreachable", `${server} cannot be reached`);
}

/**
 * Resolves when everything waiting here is sent and everything new is read.
 * @throws {Failure} as {@link until}
 */
export async function settled(patience: Patience): Promise<void> {
  const { engine, server, timeout } = patience;
  const deadline = Date.now() + timeout;
  await until(patience, () => (engine.snapshot().connection === "online" ? true : undefined));
  try {
    await engine.settled(Math.max(1_000, deadline - Date.now()));
  } catch (error) {
    throw toFailure(error) ?? tooLong(engine.snapshot(), server);
  }
}
