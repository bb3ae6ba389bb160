// Owns what a tenant's objects go by, and how a new decree gets to all of them. Knows neither SQL nor what an object makes of it.

import type { TenantId } from "../schemas/ids.ts";
import type { Policy, Residency } from "../schemas/policy.ts";
import type { Env } from "./env.ts";
import { reach } from "./reach.ts";
import { heraldStub } from "./residency.ts";
import { forgetStanding } from "./standing.ts";

/** What a tenant has decided, and what was decided about it. The one of the higher revision holds. */
export interface Decree {
  readonly revision: number;
  readonly policy: Policy;
  readonly suspended: boolean;
}

/**
 * Has the tenant's herald carry what D1 says now to every object of the tenant. May be repeated.
 * @throws {Refusal} unavailable — then the tenant's next sign-in takes it up
 */
export async function proclaim(
  env: Env,
  home: { readonly tenant: TenantId; readonly residency: Residency },
): Promise<void> {
  const { tenant, residency } = home;
  forgetStanding(tenant);
  await reach(async () => heraldStub(env, { tenant, residency }).proclaim({ tenant, residency }));
}
