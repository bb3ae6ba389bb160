// Owns the table of conversations: an index for lists. Who is in a conversation is decided by its object, not here.

import * as v from "valibot";
import { ConversationId, MemberId, type TenantId } from "../../schemas/ids.ts";
import type { Decree } from "../decree.ts";
import { rowsOf, run } from "./database.ts";
import { readDecree, selectDecree } from "./decrees.ts";

const ConversationRow = v.object({ created_by: MemberId, founding: v.string() });

const ListedRow = v.pipe(
  v.object({
    id: ConversationId,
    created_by: MemberId,
    created_at: v.number(),
    members: v.pipe(v.string(), v.parseJson(), v.array(MemberId)),
  }),
  v.transform((row) => ({
    id: row.id,
    members: row.members,
    createdBy: row.created_by,
    createdAt: row.created_at,
  })),
);

export interface Founding {
  readonly id: ConversationId;
  readonly createdBy: MemberId;
  /** Everybody who is in from the start, the creator included, each once. */
  readonly members: readonly MemberId[];
  /** Digest of `members`. */
  readonly founding: string;
  readonly now: number;
}

/**
 * Enters a conversation and its first participants, unless one of them is not an active member or the id is taken.
 * Returns what stands under this id afterwards, and the decree that held when it was entered: a newer one will find it in the list.
 * @throws {Refusal} unavailable
 */
export async function insertConversation(
  tenant: TenantId,
  db: D1Database,
  { id, createdBy, members, founding, now }: Founding,
): Promise<{ readonly createdBy: MemberId; readonly founding: string; readonly decree: Decree } | undefined> {
  const list = JSON.stringify(members);
  const [, , rows = [], decrees = []] = await run(db, [
    db
      .prepare(
        `INSERT INTO conversations (tenant_id, id, created_by, founding, created_at)
         SELECT ?1, ?2, ?3, ?4, ?5
          WHERE ?6 = (SELECT COUNT(*) FROM members WHERE tenant_id = ?1 AND removed_at IS NULL
                         AND id IN (SELECT value FROM json_each(?7)))
         ON CONFLICT DO NOTHING`,
      )
      .bind(tenant, id, createdBy, founding, now, members.length, list),
    db
      .prepare(
        `INSERT INTO participants (tenant_id, conversation_id, member_id, added_at)
         SELECT ?1, ?2, value, ?3 FROM json_each(?4)
          WHERE EXISTS (SELECT 1 FROM conversations
                         WHERE tenant_id = ?1 AND id = ?2 AND created_by = ?5 AND founding = ?6)
         ON CONFLICT DO NOTHING`,
      )
      .bind(tenant, id, now, list, createdBy, founding),
    db.prepare("SELECT * FROM conversations WHERE tenant_id = ? AND id = ?").bind(tenant, id),
    selectDecree(tenant, db),
  ]);
  const decree = readDecree(decrees[0]);
  if (rows[0] === undefined || decree === undefined) return undefined;
  const row = v.parse(ConversationRow, rows[0]);
  return { createdBy: row.created_by, founding: row.founding, decree };
}

/** The conversations a member is in, oldest first, each with everybody who is. @throws {Refusal} unavailable */
export async function listConversations(tenant: TenantId, db: D1Database, member: MemberId) {
  const statement = db.prepare(
    `SELECT conversations.id, created_by, created_at, json_group_array(others.member_id) AS members
       FROM participants AS own
       JOIN conversations ON conversations.tenant_id = own.tenant_id AND conversations.id = own.conversation_id
       JOIN participants AS others ON others.tenant_id = own.tenant_id
        AND others.conversation_id = own.conversation_id AND others.removed_at IS NULL
      WHERE own.tenant_id = ? AND own.member_id = ? AND own.removed_at IS NULL
      GROUP BY conversations.id ORDER BY created_at, conversations.id`,
  );
  return (await rowsOf(db, statement.bind(tenant, member))).map((row) => v.parse(ListedRow, row));
}
