// Owns the table of participants: the directory's copy of who is in which conversation. It may run ahead of a conversation's
// object when somebody is added and behind it when somebody is removed, never the other way: what a removal must reach is listed here.

import * as v from "valibot";
import { ConversationId, MemberId, type TenantId } from "../../schemas/ids.ts";
import { LIMITS } from "../../schemas/policy.ts";
import { rowsOf, run } from "./database.ts";

interface Seat {
  readonly conversation: ConversationId;
  readonly member: MemberId;
}

const SeatRow = v.object({ created_by: MemberId, removed_at: v.nullable(v.number()) });

/** How a member stands in a conversation; undefined when it was never in it or there is none. @throws {Refusal} unavailable */
export async function findSeat(
  tenant: TenantId,
  db: D1Database,
  { conversation, member }: Seat,
): Promise<{ readonly createdBy: MemberId; readonly active: boolean } | undefined> {
  const statement = db.prepare(
    `SELECT conversations.created_by, participants.removed_at
       FROM participants
       JOIN conversations ON conversations.tenant_id = participants.tenant_id AND conversations.id = participants.conversation_id
      WHERE participants.tenant_id = ? AND conversation_id = ? AND member_id = ?`,
  );
  const [row] = await rowsOf(db, statement.bind(tenant, conversation, member));
  if (row === undefined) return undefined;
  const { created_by: createdBy, removed_at } = v.parse(SeatRow, row);
  return { createdBy, active: removed_at === null };
}

/**
 * Seats an active member unless the conversation is full. `seated` says whether it is in now, `active` whether the member
 * is one of the tenant at all. @throws {Refusal} unavailable
 */
export async function insertSeat(
  tenant: TenantId,
  db: D1Database,
  { conversation, member, now }: Seat & { readonly now: number },
): Promise<{ readonly seated: boolean; readonly active: boolean }> {
  const [, seats = [], members = []] = await run(db, [
    db
      .prepare(
        `INSERT INTO participants (tenant_id, conversation_id, member_id, added_at)
         SELECT ?1, ?2, ?3, ?4 FROM members
          WHERE tenant_id = ?1 AND id = ?3 AND removed_at IS NULL
            AND ?5 > (SELECT COUNT(*) FROM participants
                       WHERE tenant_id = ?1 AND conversation_id = ?2 AND member_id <> ?3 AND removed_at IS NULL)
         ON CONFLICT DO UPDATE SET added_at = excluded.added_at, removed_at = NULL WHERE removed_at IS NOT NULL`,
      )
      .bind(tenant, conversation, member, now, LIMITS.participants),
    db
      .prepare(
        "SELECT 1 FROM participants WHERE tenant_id = ? AND conversation_id = ? AND member_id = ? AND removed_at IS NULL",
      )
      .bind(tenant, conversation, member),
    db.prepare("SELECT 1 FROM members WHERE tenant_id = ? AND id = ? AND removed_at IS NULL").bind(tenant, member),
  ]);
  return { seated: seats.length > 0, active: members.length > 0 };
}

/** Takes a member out of a conversation's list. @throws {Refusal} unavailable */
export async function removeSeat(
  tenant: TenantId,
  db: D1Database,
  { conversation, member, now }: Seat & { readonly now: number },
): Promise<void> {
  const statement = db.prepare(
    "UPDATE participants SET removed_at = ? WHERE tenant_id = ? AND conversation_id = ? AND member_id = ? AND removed_at IS NULL",
  );
  await rowsOf(db, statement.bind(now, tenant, conversation, member));
}

/** Every conversation a member is in. @throws {Refusal} unavailable */
export async function listSeats(
  tenant: TenantId,
  db: D1Database,
  member: MemberId,
): Promise<readonly ConversationId[]> {
  const statement = db.prepare(
    "SELECT conversation_id FROM participants WHERE tenant_id = ? AND member_id = ? AND removed_at IS NULL",
  );
  return (await rowsOf(db, statement.bind(tenant, member))).map((row) => v.parse(ConversationId, row.conversation_id));
}

/** Which of these members are no longer members of the tenant. @throws {Refusal} unavailable */
export async function listGone(
  tenant: TenantId,
  db: D1Database,
  members: readonly MemberId[],
): Promise<readonly MemberId[]> {
  const statement = db.prepare(
    `SELECT id FROM members WHERE tenant_id = ? AND removed_at IS NOT NULL AND id IN (SELECT value FROM json_each(?))`,
  );
  return (await rowsOf(db, statement.bind(tenant, JSON.stringify(members)))).map(({ id }) => v.parse(MemberId, id));
}
