// Owns telling a tenant's people that the directory has changed: a nudge without content to each mailbox, as well as it goes.
// Nothing depends on it: whoever misses it reads the directory when it next connects.

import type { TenantId } from "../schemas/ids.ts";
import type { Residency } from "../schemas/policy.ts";
import { listActive } from "./directory/members.ts";
import type { Env } from "./env.ts";
import { mailboxStub } from "./residency.ts";
import { trace } from "./trace.ts";

/** So many people are told at most, and so many at a time; the platform bounds what one request may call. */
const MOST = 500;
const AT_A_TIME = 20;

/** Nudges the members of a tenant. Never rejects. */
export async function announceChange(
  env: Env,
  { tenant, residency }: { readonly tenant: TenantId; readonly residency: Residency },
): Promise<void> {
  try {
    const members = [...(await listActive(tenant, env.DIRECTORY, MOST))];
    while (members.length > 0) {
      const told = members
        .splice(0, AT_A_TIME)
        .map((member) => mailboxStub(env, { tenant, residency, member }).nudge({ kind: "directory" }));
      await Promise.allSettled(told);
    }
  } catch {
    trace("announcement", { tenant });
  }
}
