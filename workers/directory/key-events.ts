// Owns the table of what is still to be entered into key logs. Rows are written by the database itself.

import * as v from "valibot";
import { fromBase64url } from "../../schemas/bytes.ts";
import { DeviceId, MemberId, type TenantId } from "../../schemas/ids.ts";
import { KeyEvent } from "../../schemas/key-event.ts";
import { rowsOf, run } from "./database.ts";

const KeyEventRow = v.object({
  n: v.number(),
  type: v.picklist(["member", "device", "revoked", "removed"]),
  member_id: MemberId,
  device_id: v.nullable(DeviceId),
  public_key: v.nullable(v.string()),
  certificate: v.nullable(v.string()),
});

/** An event with its number, which orders the events of all tenants and is told to none. */
export interface Unlogged {
  readonly n: number;
  readonly event: KeyEvent;
}

function readEvent(raw: unknown): Unlogged {
  const { n, type, member_id: member, device_id: device, ...row } = v.parse(KeyEventRow, raw);
  const [key, certificate] = [row.public_key, row.certificate].map((text) => fromBase64url(text ?? ""));
  const parts = {
    member: { type, member, identityKey: key },
    device: { type, member, device, signatureKey: key, certificate },
    revoked: { type, member, device },
    removed: { type, member },
  };
  return { n, event: v.parse(KeyEvent, parts[type]) };
}

/** What the tenant's key log has not confirmed, oldest first, some at a time. @throws {Refusal} unavailable */
export async function listUnlogged(tenant: TenantId, db: D1Database): Promise<readonly Unlogged[]> {
  const statement = db.prepare("SELECT * FROM key_events WHERE tenant_id = ? AND logged = 0 ORDER BY n LIMIT 200");
  return (await rowsOf(db, statement.bind(tenant))).map(readEvent);
}

/** Notes that the key log has everything up to and including `n`. @throws {Refusal} unavailable */
export async function noteLogged(tenant: TenantId, db: D1Database, n: number): Promise<void> {
  const statement = db.prepare("UPDATE key_events SET logged = 1 WHERE tenant_id = ? AND n <= ? AND logged = 0");
  await run(db, [statement.bind(tenant, n)]);
}
