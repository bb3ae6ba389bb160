// Owns the table of tenants: the companies, where their data lives and what they decided about their messages.

import * as v from "valibot";
import { TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, Policy, Residency } from "../../schemas/policy.ts";
import { rowsOf } from "./database.ts";

/** Policy as the table keeps it. */
export const StoredPolicy = v.pipe(v.string(), v.parseJson(), Policy);

const TenantRow = v.pipe(
  v.object({
    id: TenantId,
    name: v.string(),
    residency: Residency,
    policy: StoredPolicy,
    suspended_at: v.nullable(v.number()),
    revision: v.number(),
    told: v.number(),
  }),
  v.transform(({ id, name, residency, policy, ...row }) => ({
    id,
    name,
    residency,
    policy,
    suspendedAt: row.suspended_at,
    /** Every object has confirmed the newest decree. */
    told: row.told === row.revision,
  })),
);
type TenantRow = v.InferOutput<typeof TenantRow>;

/** Makes a tenant unless one of this id exists. */
export function insertTenant(
  tenant: TenantId,
  db: D1Database,
  { name, residency, now }: { readonly name: string; readonly residency: Residency; readonly now: number },
): D1PreparedStatement {
  return db
    .prepare(
      "INSERT INTO tenants (id, name, residency, policy, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(tenant, name, residency, JSON.stringify(DEFAULT_POLICY), now);
}

/** The tenant of this id. @throws {Refusal} unavailable */
export async function findTenant(tenant: TenantId, db: D1Database): Promise<TenantRow | undefined> {
  const [row] = await rowsOf(db, db.prepare("SELECT * FROM tenants WHERE id = ?").bind(tenant));
  return row && v.parse(TenantRow, row);
}

/** Replaces the tenant's policy; a herald carries it to the objects. @throws {Refusal} unavailable */
export async function setPolicy(tenant: TenantId, db: D1Database, policy: Policy): Promise<void> {
  await rowsOf(db, db.prepare("UPDATE tenants SET policy = ? WHERE id = ?").bind(JSON.stringify(policy), tenant));
}
