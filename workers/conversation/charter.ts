// Owns what a conversation was founded as, in the object's SQLite: which one it is, where it lives, who made it, and the decree
// it goes by.

import { type ConversationId, groupId, type TenantId } from "../../schemas/ids.ts";
import { DEFAULT_POLICY, type Policy, type Residency } from "../../schemas/policy.ts";
import { Refusal } from "../../schemas/refusal.ts";
import type { Decree } from "../decree.ts";
import type { Who } from "./order.ts";

/** What never changes about a conversation. */
export interface Founding {
  readonly tenant: TenantId;
  readonly residency: Residency;
  readonly conversation: ConversationId;
  readonly creator: Who;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS charter (one INTEGER PRIMARY KEY CHECK (one = 1), founding TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS decree (
    one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL, policy TEXT NOT NULL, suspended INTEGER NOT NULL
  );`;

const NO_DECREE: Decree = { revision: -1, policy: DEFAULT_POLICY, suspended: false };

/** The founding of one conversation, and its tenant's decree. */
export class Charter {
  readonly #sql: SqlStorage;
  #founding: Founding | undefined;
  #decree = NO_DECREE;
  #group: { readonly generation: number; readonly id: Uint8Array } | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLES);
    const [row] = sql.exec<{ founding: string }>("SELECT founding FROM charter").toArray();
    if (row !== undefined) this.#founding = JSON.parse(row.founding) as Founding;
    const [kept] = sql
      .exec<{ revision: number; policy: string; suspended: number }>("SELECT revision, policy, suspended FROM decree")
      .toArray();
    if (kept === undefined) return;
    const { revision, policy, suspended } = kept;
    this.#decree = { revision, policy: JSON.parse(policy) as Policy, suspended: suspended === 1 };
  }

  /** @throws {Refusal} not_found — nobody has founded it */
  get founding(): Founding {
    if (this.#founding === undefined) throw new Refusal("not_found");
    return this.#founding;
  }

  get policy(): Policy {
    return this.#decree.policy;
  }

  /** Whether the tenant is suspended: nobody of it is served. */
  get suspended(): boolean {
    return this.#decree.suspended;
  }

  /** Founds the conversation; false when the same device did so before. @throws {Refusal} conflict — somebody else did */
  found(founding: Founding): boolean {
    if (this.#founding !== undefined) {
      const { member, device } = this.#founding.creator;
      if (member === founding.creator.member && device === founding.creator.device) return false;
      throw new Refusal("conflict");
    }
    this.#sql.exec("INSERT INTO charter VALUES (1, ?)", JSON.stringify(founding));
    this.#founding = founding;
    return true;
  }

  /** Goes by a decree from now on, also before the founding; false when it is no newer than the one that holds. */
  adopt(decree: Decree): boolean {
    const { revision, policy, suspended } = decree;
    if (revision <= this.#decree.revision) return false;
    const text = JSON.stringify(policy);
    this.#sql.exec("INSERT OR REPLACE INTO decree VALUES (1, ?, ?, ?)", revision, text, suspended ? 1 : 0);
    this.#decree = decree;
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
