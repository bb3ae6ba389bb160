-- Every handover has a shelf of its own. What lay on the one they shared is of no use any more and goes with what has expired.

CREATE TABLE vault_objects_by_shelf (
  tenant_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  id TEXT NOT NULL,
  shelf TEXT NOT NULL CHECK (shelf = 'backup' OR shelf GLOB 'handover.*'),
  size INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  -- From then on it is not given out any more and is destroyed.
  expires_at INTEGER,
  PRIMARY KEY (tenant_id, member_id, id),
  FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
) STRICT, WITHOUT ROWID;
INSERT INTO vault_objects_by_shelf
  SELECT tenant_id, member_id, id, CASE shelf WHEN 'handover' THEN 'handover.AAAAAAAAAAAAAAAAAAAAAA' ELSE shelf END, size,
         stored_at, CASE shelf WHEN 'handover' THEN 0 ELSE expires_at END
    FROM vault_objects;
DROP TABLE vault_objects;
ALTER TABLE vault_objects_by_shelf RENAME TO vault_objects;
CREATE INDEX vault_objects_by_expiry ON vault_objects (tenant_id, expires_at) WHERE expires_at IS NOT NULL;
