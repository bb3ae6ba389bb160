// Owns what a conversation was founded as, in the object's SQLite: which one it is, where it lives, who made it, and its tenant's policy.

import { type ConversationId, groupId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, type Policy, type Residency } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { Who } from "./order.ts";

/** What never changes about a conversation. */
export interface Founding {
  readonly tenant: TenantId;
  readonly residency: Residency;
  readonly conversation: ConversationId;
  readonly creator: Who;
}

const TABLE =
  "CREATE TABLE IF NOT EXISTS charter (one INTEGER PRIMARY KEY CHECK (one = 1), founding TEXT NOT NULL, policy TEXT NOT NULL)";

/** The founding and the policy of one conversation. */
export class Charter {
  readonly #sql: SqlStorage;
  #founding: Founding | undefined;
  #policy: Policy = DEFAULT_POLICY;
  #group: { readonly generation: number; readonly id: Uint8Array } | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLE);
    const [row] = sql.exec<{ founding: string; policy: string }>("SELECT founding, policy FROM charter").toArray();
    if (row === undefined) return;
    this.#founding = JSON.parse(row.founding) as Founding;
    this.#policy = JSON.parse(row.policy) as Policy;
  }

  /** @throws {Refusal} not_found — nobody has founded it */
  get founding(): Founding {
    if (this.#founding === undefined) throw new Refusal("not_found");
    return this.#founding;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** Founds the conversation; false when the same device did so before. @throws {Refusal} conflict — somebody else did */
  found(founding: Founding): boolean {
    if (this.#founding !== undefined) {
      const { member, device } = this.#founding.creator;
      if (member === founding.creator.member && device === founding.creator.device) return false;
      throw new Refusal("conflict");
    }
    this.#sql.exec("INSERT INTO charter VALUES (1, ?, ?)", JSON.stringify(founding), JSON.stringify(this.#policy));
    this.#founding = founding;
    return true;
  }

  /** Takes over the policy a newer token brought; true when it says something else than before. */
  adopt(policy: Policy): boolean {
    const text = JSON.stringify(policy);
    if (text === JSON.stringify(this.#policy)) return false;
    this.#sql.exec("UPDATE charter SET policy = ?", text);
    this.#policy = policy;
    return true;
  }

  /** MLS group_id of a generation of this conversation. */
  groupId(generation: number): Uint8Array {
    if (this.#group?.generation !== generation) {
      this.#group = { generation, id: groupId(this.founding.conversation, generation) };
    }
    return this.#group.id;
  }
}
