// Owns the table of shares: the server's part of what opens a device's store at rest, and how often a passphrase may be tried. A share is asked
// for by the hash of a secret and without a tenant: whoever asks can read nothing yet, also not who it is.

import * as v from "valibot";
import { DeviceId, type MemberId, type TenantId } from "../../schemas/ids.ts";
import { rowsOf, run } from "./database.ts";

/** After the nth wrong try in a row the next one waits this long, in ms; after the last there is no next one. */
export const TRY_DELAYS = [0, 0, 0, 0, 30_000, 60_000, 5 * 60_000, 15 * 60_000, 60 * 60_000, 0] as const;

/** A share as it is deposited. Hashes and share as base64url of 32 bytes. */
export interface Deposit {
  readonly unlockHash: string;
  readonly share: string;
}

const Tried = v.object({ share: v.string(), wrong_tries: v.number() });
const Standing = v.object({
  guarded: v.number(),
  destroyed: v.number(),
  wrong_tries: v.number(),
  retry_at: v.number(),
  out: v.number(),
  suspended: v.number(),
});

/**
 * What became of asking. `open`: here it is; `guarded`: a passphrase is needed; `wrong`: that was not it, so many tries are left and the next
 * one is taken at `retryAt` (ms); `early`: not tried, only then; `locked`: no more tries; `destroyed`: the device was revoked.
 */
export type Opening =
  | { readonly kind: "open"; readonly share: string }
  | { readonly kind: "wrong"; readonly left: number; readonly retryAt: number }
  | { readonly kind: "early"; readonly retryAt: number }
  | { readonly kind: "guarded" | "locked" | "destroyed" | "suspended" | "absent" };

/**
 * Deposits the share of a device that has just entered. Without effect unless this very device is in; again it changes nothing. A store whose
 * earlier introduction was never answered brings the same share with another device: it then belongs to this one.
 */
export function depositShare(
  tenant: TenantId,
  db: D1Database,
  { device, signatureKey, unlockHash, share }: Deposit & { readonly device: DeviceId; readonly signatureKey: string },
): readonly D1PreparedStatement[] {
  const entered =
    "FROM devices WHERE tenant_id = ?1 AND id = ?2 AND signature_key = ?3 AND revoked_at IS NULL" as const;
  return [
    db
      .prepare(
        `DELETE FROM shares WHERE unlock_hash = ?4 AND share = ?5 AND NOT (tenant_id = ?1 AND device_id = ?2)
            AND EXISTS (SELECT 1 ${entered})`,
      )
      .bind(tenant, device, signatureKey, unlockHash, share),
    db
      .prepare(
        `INSERT INTO shares (tenant_id, device_id, unlock_hash, share) SELECT ?1, ?2, ?4, ?5 ${entered}
         ON CONFLICT DO NOTHING`,
      )
      .bind(tenant, device, signatureKey, unlockHash, share),
  ];
}

/**
 * Asks for a share. Trying and counting are one statement, so that however many try at once, each try is counted.
 * `verifierHash` is null when no passphrase was given. @throws {Refusal} unavailable
 */
export async function openShare(
  db: D1Database,
  { unlockHash, verifierHash, now }: { unlockHash: string; verifierHash: string | null; now: number },
): Promise<Opening> {
  const isRight = "(verifier_hash IS NULL OR verifier_hash = ?2)" as const;
  const [tried = [], standing = []] = await run(db, [
    db
      .prepare(
        `UPDATE shares SET wrong_tries = CASE WHEN ${isRight} THEN 0 ELSE wrong_tries + 1 END,
            retry_at = CASE WHEN ${isRight} THEN 0 ELSE ?3 + json_extract(?4, '$[' || wrong_tries || ']') END
          WHERE unlock_hash = ?1 AND share IS NOT NULL AND retry_at <= ?3 AND wrong_tries < json_array_length(?4)
            AND (verifier_hash IS NULL OR ?2 IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = shares.tenant_id AND suspended_at IS NOT NULL)
          RETURNING share, wrong_tries`,
      )
      .bind(unlockHash, verifierHash, now, JSON.stringify(TRY_DELAYS)),
    selectStanding(db, unlockHash),
  ]);
  if (standing[0] === undefined) return { kind: "absent" };
  const { guarded, destroyed, wrong_tries, retry_at, out, suspended } = v.parse(Standing, standing[0]);
  if (destroyed === 1 || out === 1) return { kind: "destroyed" };
  if (suspended === 1) return { kind: "suspended" };
  const outcome = tried[0] && v.parse(Tried, tried[0]);
  if (outcome?.wrong_tries === 0) return { kind: "open", share: outcome.share };
  if (wrong_tries >= TRY_DELAYS.length) return { kind: "locked" };
  if (outcome !== undefined) return { kind: "wrong", left: TRY_DELAYS.length - outcome.wrong_tries, retryAt: retry_at };
  if (guarded === 1 && verifierHash === null) return { kind: "guarded" };
  return { kind: "early", retryAt: retry_at };
}

/**
 * Puts another share in the place of one that whoever asks has open. May be repeated. `open` when it is in place.
 * @throws {Refusal} unavailable
 */
export async function replaceShare(
  db: D1Database,
  { unlockHash, share, next }: Deposit & { readonly next: Deposit & { readonly verifierHash: string | null } },
): Promise<"open" | "destroyed" | "suspended" | "absent"> {
  const [, placed = [], standing = []] = await run(db, [
    db
      .prepare(
        `UPDATE OR IGNORE shares SET unlock_hash = ?3, share = ?4, verifier_hash = ?5, wrong_tries = 0, retry_at = 0
          WHERE unlock_hash = ?1 AND share = ?2
            AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = shares.tenant_id AND suspended_at IS NOT NULL)`,
      )
      .bind(unlockHash, share, next.unlockHash, next.share, next.verifierHash),
    db
      .prepare("SELECT 1 FROM shares WHERE unlock_hash = ?1 AND share = ?2 AND verifier_hash IS ?3")
      .bind(next.unlockHash, next.share, next.verifierHash),
    selectStanding(db, unlockHash),
  ]);
  if (placed.length > 0) return "open";
  const { destroyed = 0, out = 0, suspended = 0 } = standing[0] === undefined ? {} : v.parse(Standing, standing[0]);
  if (destroyed === 1 || out === 1) return "destroyed";
  return suspended === 1 ? "suspended" : "absent";
}

/** Those of a member's devices whose app lock takes no more tries. @throws {Refusal} unavailable */
export async function listLockedOut(
  tenant: TenantId,
  db: D1Database,
  member: MemberId,
): Promise<ReadonlySet<DeviceId>> {
  const statement = db.prepare(
    `SELECT shares.device_id AS id FROM shares
       JOIN devices ON devices.tenant_id = shares.tenant_id AND devices.id = shares.device_id
      WHERE shares.tenant_id = ? AND devices.member_id = ? AND devices.revoked_at IS NULL AND shares.wrong_tries >= ?`,
  );
  const rows = await rowsOf(db, statement.bind(tenant, member, TRY_DELAYS.length));
  return new Set(rows.map(({ id }) => v.parse(DeviceId, id)));
}

/** Forgets the wrong tries at a device's app lock. @throws {Refusal} unavailable */
export async function releaseShare(tenant: TenantId, db: D1Database, device: DeviceId): Promise<void> {
  const statement = db.prepare(
    "UPDATE shares SET wrong_tries = 0, retry_at = 0 WHERE tenant_id = ? AND device_id = ? AND share IS NOT NULL",
  );
  await rowsOf(db, statement.bind(tenant, device));
}

function selectStanding(db: D1Database, unlockHash: string): D1PreparedStatement {
  return db
    .prepare(
      `SELECT shares.verifier_hash IS NOT NULL AS guarded, shares.share IS NULL AS destroyed, shares.wrong_tries,
              shares.retry_at, tenants.suspended_at IS NOT NULL AS suspended,
              devices.revoked_at IS NOT NULL OR members.removed_at IS NOT NULL AS out
         FROM shares
         JOIN devices ON devices.tenant_id = shares.tenant_id AND devices.id = shares.device_id
         JOIN members ON members.tenant_id = devices.tenant_id AND members.id = devices.member_id
         JOIN tenants ON tenants.id = shares.tenant_id
        WHERE shares.unlock_hash = ?`,
    )
    .bind(unlockHash);
}
