// Owns what the table of tenants says of decrees: the newest one, whether everybody has been told, and whom there is to tell.

import * as v from "valibot";
import { ConversationId, MemberId, type TenantId } from "../../schemas/ids.ts";
import type { Decree } from "../decree.ts";
import { rowsOf } from "./database.ts";
import { StoredPolicy } from "./tenants.ts";

const DecreeRow = v.pipe(
  v.object({ revision: v.number(), policy: StoredPolicy, suspended_at: v.nullable(v.number()) }),
  v.transform(({ revision, policy, suspended_at }): Decree => ({ revision, policy, suspended: suspended_at !== null })),
);

/** An object that goes by its tenant's decrees. */
export type Addressee =
  | { readonly kind: "conversation"; readonly id: ConversationId }
  | { readonly kind: "mailbox"; readonly id: MemberId };

/** Asks for the tenant's decree. */
export function selectDecree(tenant: TenantId, db: D1Database): D1PreparedStatement {
  return db.prepare("SELECT revision, policy, suspended_at FROM tenants WHERE id = ?").bind(tenant);
}

/** Reads what {@link selectDecree} has asked for. */
export function readDecree(row: unknown): Decree | undefined {
  return row === undefined ? undefined : v.parse(DecreeRow, row);
}

/** What holds for the tenant now. @throws {Refusal} unavailable */
export async function findDecree(tenant: TenantId, db: D1Database): Promise<Decree | undefined> {
  const [row] = await rowsOf(db, selectDecree(tenant, db));
  return readDecree(row);
}

/** Suspends a tenant from `at` (ms) on, or lifts that with null; a suspension under way keeps its beginning. @throws {Refusal} unavailable */
export async function setSuspension(tenant: TenantId, db: D1Database, at: number | null): Promise<void> {
  const statement =
    at === null
      ? db.prepare("UPDATE tenants SET suspended_at = NULL WHERE id = ?").bind(tenant)
      : db.prepare("UPDATE tenants SET suspended_at = ? WHERE id = ? AND suspended_at IS NULL").bind(at, tenant);
  await rowsOf(db, statement);
}

/** The next of the tenant's objects of a kind after the one called `after`, at most `limit`. @throws {Refusal} unavailable */
export async function listAddressees(
  tenant: TenantId,
  db: D1Database,
  { kind, after, limit }: { readonly kind: Addressee["kind"]; readonly after: string; readonly limit: number },
): Promise<readonly Addressee[]> {
  const query =
    kind === "conversation"
      ? "SELECT id FROM conversations WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?"
      : "SELECT id FROM members WHERE tenant_id = ? AND id > ? AND removed_at IS NULL ORDER BY id LIMIT ?";
  const rows = await rowsOf(db, db.prepare(query).bind(tenant, after, limit));
  return rows.map(({ id }) =>
    kind === "conversation" ? { kind, id: v.parse(ConversationId, id) } : { kind, id: v.parse(MemberId, id) },
  );
}

/** Notes that every object has confirmed the decree of this revision. @throws {Refusal} unavailable */
export async function noteTold(tenant: TenantId, db: D1Database, revision: number): Promise<void> {
  await rowsOf(db, db.prepare("UPDATE tenants SET told = max(told, ?) WHERE id = ?").bind(revision, tenant));
}
