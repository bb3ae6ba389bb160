// Owns the table of meeting places: what was left in one is never replaced, and every one is gone in time. Reads nothing of it.

import * as v from "valibot";
import { DeviceId, LinkId, TenantId } from "../../schemas/ids.ts";
import { rowsOf, run } from "./database.ts";
import type { Deposit } from "./shares.ts";

const LinkRow = v.pipe(
  v.object({
    id: LinkId,
    tenant_id: TenantId,
    device_id: DeviceId,
    offer: v.string(),
    hello: v.nullable(v.string()),
    reveal: v.nullable(v.string()),
    handover: v.nullable(v.string()),
    expires_at: v.number(),
  }),
  v.transform(({ tenant_id: tenant, device_id: device, expires_at: expiresAt, ...row }) => ({
    ...row,
    tenant,
    device,
    expiresAt,
  })),
);
export type LinkRow = v.InferOutput<typeof LinkRow>;

/** What is left in a meeting place, each after the one before it. */
export const STEPS = ["hello", "reveal", "handover"] as const;
export type Step = (typeof STEPS)[number];

/**
 * Opens a meeting place in place of any other of the same device, and clears away all that are over. Returns the one that is there under
 * this id, which may be somebody else's.
 * @throws {Refusal} unavailable
 */
export async function openLink(
  tenant: TenantId,
  db: D1Database,
  link: Pick<LinkRow, "id" | "device" | "offer" | "expiresAt"> & { readonly now: number },
): Promise<LinkRow | undefined> {
  const { id, device, offer, expiresAt, now } = link;
  const [, , rows = []] = await run(db, [
    db
      .prepare("DELETE FROM links WHERE expires_at <= ? OR (tenant_id = ? AND device_id = ? AND id <> ?)")
      .bind(now, tenant, device, id),
    db
      .prepare(
        "INSERT INTO links (id, tenant_id, device_id, offer, expires_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      )
      .bind(id, tenant, device, offer, expiresAt),
    db.prepare("SELECT * FROM links WHERE id = ?").bind(id),
  ]);
  return rows[0] && v.parse(LinkRow, rows[0]);
}

/** The meeting place of this id, whoever opened it: the id is all that one of the two knows. @throws {Refusal} unavailable */
export async function findLink(db: D1Database, id: LinkId, now: number): Promise<LinkRow | undefined> {
  const [row] = await rowsOf(db, db.prepare("SELECT * FROM links WHERE id = ? AND expires_at > ?").bind(id, now));
  return row && v.parse(LinkRow, row);
}

/**
 * Leaves something, with the share of whoever leaves it if that has one, unless something is there already or the step before it is missing; what is
 * there afterwards. @throws {Refusal} unavailable
 */
export async function leaveInLink(
  db: D1Database,
  what: {
    readonly id: LinkId;
    readonly step: Step;
    readonly bytes: string;
    readonly share?: Deposit | undefined;
    readonly now: number;
  },
): Promise<LinkRow | undefined> {
  const { id, step, bytes, share, now } = what;
  const before = ["offer", ...STEPS][STEPS.indexOf(step)];
  const [, rows = []] = await run(db, [
    // Both names are of the three above, never a client's
    db
      .prepare(
        `UPDATE links SET ${step} = ?1, unlock_hash = coalesce(?4, unlock_hash), share = coalesce(?5, share)
          WHERE id = ?2 AND expires_at > ?3 AND ${step} IS NULL AND ${before} IS NOT NULL`,
      )
      .bind(bytes, id, now, share?.unlockHash ?? null, share?.share ?? null),
    db.prepare("SELECT * FROM links WHERE id = ? AND expires_at > ?").bind(id, now),
  ]);
  return rows[0] && v.parse(LinkRow, rows[0]);
}

/** The share that a new device has left, while its meeting place is there; undefined when there is none. @throws {Refusal} unavailable */
export async function findLinkShare(
  db: D1Database,
  { unlockHash, now }: { readonly unlockHash: string; readonly now: number },
): Promise<string | undefined> {
  const statement = db.prepare("SELECT share FROM links WHERE unlock_hash = ? AND expires_at > ?");
  const [row] = await rowsOf(db, statement.bind(unlockHash, now));
  return row && v.parse(v.object({ share: v.string() }), row).share;
}

/** Clears away every meeting place that is over by `now` (ms). @throws {Refusal} unavailable */
export async function clearLinks(db: D1Database, now: number): Promise<void> {
  await rowsOf(db, db.prepare("DELETE FROM links WHERE expires_at <= ?").bind(now));
}

/** Clears a meeting place away. @throws {Refusal} unavailable */
export async function closeLink(db: D1Database, id: LinkId): Promise<void> {
  await rowsOf(db, db.prepare("DELETE FROM links WHERE id = ?").bind(id));
}
