// Owns telling a tenant's people that the directory has changed: a nudge without content to each mailbox, as well as it goes.
// Nothing depends on it: whoever misses it reads the directory when it next connects. Changes that come while people are being told
// are told together afterwards, so that a thousand people who join at once are not a million nudges.

import type { TenantId } from "../schemas/ids.ts";
import type { Residency } from "../schemas/policy.ts";
import { listActive } from "./directory/members.ts";
import type { Env } from "./env.ts";
import { mailboxStub } from "./residency.ts";
import { trace } from "./trace.ts";

/** So many people are told at most, and so many at a time; the platform bounds what one request may call. */
const MOST = 500;
const AT_A_TIME = 20;

/** How long a round rests for each person told, in ms: the bigger the company, the more changes share a round. */
const REST_PER_MEMBER = 20;
/** The platform ends what outlives its request by 30 s; a round that was cut off must not silence the next. */
const ROUNDS_END_AFTER = 20_000;

interface Place {
  readonly tenant: TenantId;
  readonly residency: Residency;
}

/** The tenants whose people are being told by this isolate now, and whether there is something newer to tell. */
const underWay = new Map<TenantId, { readonly since: number; again: boolean }>();

/** Nudges the members of a tenant, at once or together with what is being told already. Never rejects. */
export async function announceChange(env: Env, place: Place): Promise<void> {
  const { tenant } = place;
  const other = underWay.get(tenant);
  if (other !== undefined && Date.now() - other.since < ROUNDS_END_AFTER) {
    other.again = true;
    return;
  }
  const own = { since: Date.now(), again: true };
  underWay.set(tenant, own);
  try {
    while (own.again) {
      own.again = false;
      const told = await tellOnce(env, place);
      await new Promise((rested) => setTimeout(rested, Math.min(told * REST_PER_MEMBER, ROUNDS_END_AFTER / 2)));
    }
  } catch {
    trace("announcement", { tenant });
  } finally {
    if (underWay.get(tenant) === own) underWay.delete(tenant);
  }
}

/** One round; how many people there were to tell. */
async function tellOnce(env: Env, { tenant, residency }: Place): Promise<number> {
  const members = await listActive(tenant, env.DIRECTORY, MOST);
  for (let at = 0; at < members.length; at += AT_A_TIME) {
    const told = members
      .slice(at, at + AT_A_TIME)
      .map((member) => mailboxStub(env, { tenant, residency, member }).nudge({ kind: "directory" }));
    await Promise.allSettled(told);
  }
  return members.length;
}
