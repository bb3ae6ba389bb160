// Owns what this isolate remembers of who is out, so that opening a socket asks D1 at most once a minute per tenant and goes
// on working when D1 is down. Objects close the sockets of whoever is removed themselves; this only keeps new ones out.

import type { DeviceId, TenantId } from "../schemas/ids.ts";
import { Refusal } from "../schemas/refusal.ts";
import { TOKEN_LIFE } from "./auth.ts";
import { listRevoked } from "./directory/devices.ts";
import { findTenant } from "./directory/tenants.ts";
import type { Env } from "./env.ts";

interface Remembered {
  readonly suspended: boolean;
  readonly revoked: ReadonlySet<DeviceId>;
  readonly readAt: number;
}

const FRESH = 60_000;
const PATIENCE = 1_000;
const CAPACITY = 5_000;
const NOTHING: Remembered = { suspended: false, revoked: new Set(), readAt: 0 };

const remembered = new Map<TenantId, Remembered>();
const underway = new Map<TenantId, Promise<Remembered>>();

/**
 * Lets a device with a good token through unless it is known to be out. When D1 does not answer within a second, what was
 * known last counts.
 * @throws {Refusal} device_revoked, tenant_suspended — as D1 said within the last minute
 */
export async function assertStanding(
  env: Env,
  { tenant, device }: { readonly tenant: TenantId; readonly device: DeviceId },
) {
  const known = remembered.get(tenant);
  const fresh = known !== undefined && Date.now() - known.readAt < FRESH;
  const { suspended, revoked } = fresh ? known : await ask(env, tenant, known ?? NOTHING);
  if (revoked.has(device)) throw new Refusal("device_revoked");
  if (suspended) throw new Refusal("tenant_suspended");
}

/** Forgets a tenant, because somebody was just put out of it: the next socket asks D1. */
export function forgetStanding(tenant: TenantId): void {
  remembered.delete(tenant);
}

async function ask(env: Env, tenant: TenantId, otherwise: Remembered): Promise<Remembered> {
  const question = underway.get(tenant) ?? read(env, tenant).finally(() => underway.delete(tenant));
  underway.set(tenant, question);
  const answer = question.catch(() => otherwise);
  return Promise.race([answer, scheduler.wait(PATIENCE).then(() => otherwise)]);
}

async function read(env: Env, tenant: TenantId): Promise<Remembered> {
  const readAt = Date.now();
  const [row, revoked] = await Promise.all([
    findTenant(tenant, env.DIRECTORY),
    listRevoked(tenant, env.DIRECTORY, readAt - TOKEN_LIFE),
  ]);
  const answer = { suspended: row?.suspendedAt != null, revoked: new Set(revoked), readAt };
  if (remembered.size >= CAPACITY) remembered.clear();
  remembered.set(tenant, answer);
  return answer;
}
