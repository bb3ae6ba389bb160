// Owns how far a decree has got, in the herald's SQLite: which one it is, whose, and which object was written down last. Knows no other object.

import type { TenantId } from "../../schemas/ids.ts";
import type { Residency } from "../../schemas/policy.ts";
import type { Decree } from "../decree.ts";
import type { Addressee } from "../directory/decrees.ts";

/** One decree under way. `kind` is null once everybody is written down. */
export interface Leg {
  readonly tenant: TenantId;
  readonly residency: Residency;
  readonly decree: Decree;
  readonly kind: Addressee["kind"] | null;
  /** Everybody of this kind up to this id is written down. */
  readonly after: string;
}

const TABLE = "CREATE TABLE IF NOT EXISTS walk (one INTEGER PRIMARY KEY CHECK (one = 1), leg TEXT NOT NULL)";

/** The walk of one herald: at most one decree, the newest. */
export class Walk {
  readonly #sql: SqlStorage;
  #leg: Leg | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(TABLE);
    const [row] = sql.exec<{ leg: string }>("SELECT leg FROM walk").toArray();
    if (row !== undefined) this.#leg = JSON.parse(row.leg) as Leg;
  }

  /** Where the walk stands; null when nothing is under way. The same object as long as it has not moved. */
  get leg(): Leg | null {
    return this.#leg;
  }

  /** Sets out with a decree, unless one at least as new is under way. */
  begin({ tenant, residency, decree }: Pick<Leg, "tenant" | "residency" | "decree">): void {
    if (this.#leg !== null && this.#leg.decree.revision >= decree.revision) return;
    this.#save({ tenant, residency, decree, kind: "conversation", after: "" });
  }

  /** Goes on behind a page of objects: to the next kind when it was not full. */
  advance(leg: Leg, page: readonly Addressee[], full: boolean): void {
    const last = page.at(-1)?.id ?? leg.after;
    if (full) this.#save({ ...leg, after: last });
    else this.#save({ ...leg, kind: leg.kind === "conversation" ? "mailbox" : null, after: "" });
  }

  /** The decree has got everywhere. */
  end(): void {
    this.#sql.exec("DELETE FROM walk");
    this.#leg = null;
  }

  #save(leg: Leg): void {
    this.#sql.exec("INSERT OR REPLACE INTO walk VALUES (1, ?)", JSON.stringify(leg));
    this.#leg = leg;
  }
}
