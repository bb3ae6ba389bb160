// Owns the table of passkeys: whose each is, the public key that proves it, and that no answer of one is taken twice.

import * as v from "valibot";
import { MemberId, PasskeyId, RecoveryId, TenantId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { rowsOf, run } from "./database.ts";

const PasskeyRow = v.pipe(
  v.object({
    id: PasskeyId,
    tenant_id: TenantId,
    member_id: MemberId,
    lookup: RecoveryId,
    credential: v.string(),
    public_key: v.string(),
    counter: v.number(),
    box: v.string(),
    name: v.string(),
    created_at: v.number(),
    used_at: v.nullable(v.number()),
  }),
  v.transform((row) => ({
    id: row.id,
    tenant: row.tenant_id,
    member: row.member_id,
    lookup: row.lookup,
    credential: row.credential,
    publicKey: row.public_key,
    counter: row.counter,
    box: row.box,
    name: row.name,
    createdAt: row.created_at,
    usedAt: row.used_at,
  })),
);
export type PasskeyRow = v.InferOutput<typeof PasskeyRow>;

type NewPasskey = Omit<PasskeyRow, "tenant" | "createdAt" | "usedAt"> & { readonly now: number };

const Counted = v.object({ phrases: v.number(), passkeys: v.number() });

/**
 * Enters a passkey beside its member's phrase. `in`: it is in, by this call or an equal one before; `taken`: its id or credential is another's;
 * `full`: the member has as many as anybody may; `unphrased`: this phrase is not the member's any more.
 * @throws {Refusal} unavailable
 */
export async function insertPasskey(
  tenant: TenantId,
  db: D1Database,
  passkey: NewPasskey,
): Promise<"in" | "taken" | "full" | "unphrased"> {
  const { id, member, lookup, credential, publicKey, counter, box, name, now } = passkey;
  const phrase = "FROM recoveries WHERE tenant_id = ?1 AND member_id = ?2 AND lookup = ?3";
  const count = "(SELECT COUNT(*) FROM passkeys WHERE tenant_id = ?1 AND member_id = ?2)";
  const [, rows = [], counts = []] = await run(db, [
    db
      .prepare(
        `INSERT INTO passkeys (id, tenant_id, member_id, lookup, credential, public_key, counter, box, name, created_at)
         SELECT ?4, ?1, ?2, ?3, ?5, ?6, ?7, ?8, ?9, ?10 ${phrase} AND ${count} < ?11 ON CONFLICT DO NOTHING`,
      )
      .bind(tenant, member, lookup, id, credential, publicKey, counter, box, name, now, LIMITS.passkeysPerMember),
    db.prepare("SELECT * FROM passkeys WHERE id = ? OR credential = ?").bind(id, credential),
    db.prepare(`SELECT (SELECT COUNT(*) ${phrase}) AS phrases, ${count} AS passkeys`).bind(tenant, member, lookup),
  ]);
  if (rows.length > 0) {
    const kept = v.parse(PasskeyRow, rows[0]);
    const same =
      rows.length === 1 &&
      kept.id === id &&
      kept.tenant === tenant &&
      kept.member === member &&
      kept.lookup === lookup &&
      kept.credential === credential &&
      kept.publicKey === publicKey &&
      kept.box === box;
    return same ? "in" : "taken";
  }
  const { phrases, passkeys } = v.parse(Counted, counts[0]);
  return phrases > 0 && passkeys >= LIMITS.passkeysPerMember ? "full" : "unphrased";
}

/** A member's passkeys, oldest first. @throws {Refusal} unavailable */
export async function listPasskeys(tenant: TenantId, db: D1Database, member: MemberId): Promise<readonly PasskeyRow[]> {
  const statement = db.prepare("SELECT * FROM passkeys WHERE tenant_id = ? AND member_id = ? ORDER BY created_at, id");
  return (await rowsOf(db, statement.bind(tenant, member))).map((row) => v.parse(PasskeyRow, row));
}

/** Forgets a passkey: it opens nothing any more. False when the member has none of this id. @throws {Refusal} unavailable */
export async function dropPasskey(
  tenant: TenantId,
  db: D1Database,
  { member, passkey }: { readonly member: MemberId; readonly passkey: PasskeyId },
): Promise<boolean> {
  const statement = db.prepare("DELETE FROM passkeys WHERE tenant_id = ? AND member_id = ? AND id = ? RETURNING id");
  return (await rowsOf(db, statement.bind(tenant, member, passkey))).length > 0;
}

/**
 * Whose passkey this credential is. Asks without a tenant, because its caller knows none yet: the credential is what names it.
 * @throws {Refusal} unavailable
 */
export async function findPasskey(db: D1Database, credential: string): Promise<PasskeyRow | undefined> {
  const [row] = await rowsOf(db, db.prepare("SELECT * FROM passkeys WHERE credential = ?").bind(credential));
  return row && v.parse(PasskeyRow, row);
}

/**
 * Notes that a passkey has answered the challenge made at `askedAt` (ms). False when it has answered that one or a later one before, or has
 * counted on since `passkey` was read.
 * @throws {Refusal} unavailable
 */
export async function usePasskey(
  db: D1Database,
  { id, counter }: PasskeyRow,
  { askedAt, newCounter }: { readonly askedAt: number; readonly newCounter: number },
): Promise<boolean> {
  const statement = db.prepare(
    `UPDATE passkeys SET used_at = ?2, counter = ?3
      WHERE id = ?1 AND counter = ?4 AND (used_at IS NULL OR used_at < ?2) RETURNING id`,
  );
  return (await rowsOf(db, statement.bind(id, askedAt, newCounter, counter))).length > 0;
}
