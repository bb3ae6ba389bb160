-- Recovery phrases: of a phrase only what it is looked up by and its public key are known here, one per member.

CREATE TABLE recoveries (
  lookup TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  public_key TEXT NOT NULL,
  enrolled_at INTEGER NOT NULL,
  UNIQUE (tenant_id, member_id),
  FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- The permission by which a further device came in; null for a member's first. Each lets in one device.
ALTER TABLE devices ADD COLUMN admitted_by TEXT;
CREATE UNIQUE INDEX devices_by_admission ON devices (tenant_id, admitted_by) WHERE admitted_by IS NOT NULL;
