// Owns how key events get from the directory into the tenant's key log: in order, at least once, until confirmed. Knows neither SQL nor trees.

import type { TenantId } from "../schemas/ids.ts";
import type { Residency } from "../schemas/policy.ts";
import { listUnlogged, noteLogged } from "./directory/key-events.ts";
import type { Env } from "./env.ts";
import { reach } from "./reach.ts";
import { keyLogStub } from "./residency.ts";

interface Home {
  readonly tenant: TenantId;
  readonly residency: Residency;
}

/** Enters into the tenant's key log whatever is not in it yet. May be repeated and run at the same time. @throws {Refusal} unavailable */
export async function publishKeys(env: Env, { tenant, residency }: Home): Promise<void> {
  for (;;) {
    const events = await listUnlogged(tenant, env.DIRECTORY);
    if (events.length === 0) return;
    const append = { residency, events: [...events] };
    const newest = await reach(async () => keyLogStub(env, { tenant, residency }).append(append));
    await noteLogged(tenant, env.DIRECTORY, newest);
  }
}
