-- What lies in members' vaults. The bytes are in R2; a row comes before its object and goes after it, so no byte is uncounted.

CREATE TABLE vault_objects (
  tenant_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  id TEXT NOT NULL,
  shelf TEXT NOT NULL CHECK (shelf IN ('backup', 'handover')),
  size INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  -- From then on it is not given out any more and is destroyed.
  expires_at INTEGER,
  PRIMARY KEY (tenant_id, member_id, id),
  FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX vault_objects_by_expiry ON vault_objects (tenant_id, expires_at) WHERE expires_at IS NOT NULL;
