-- The owner's way back, which nobody in the company can open: an invite that the operator has made, and so nobody's (created_by null). Only such a
-- one, and only for a member there is, may be the owner's.

DROP TRIGGER members_returned;

CREATE TABLE invites_of_all (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants (id),
  secret_hash TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  uses INTEGER NOT NULL CHECK (uses > 0),
  created_by TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  member_id TEXT,
  CHECK (role <> 'owner' OR (created_by IS NULL AND member_id IS NOT NULL AND uses = 1)),
  CHECK (created_by IS NOT NULL OR role = 'owner')
) STRICT, WITHOUT ROWID;
INSERT INTO invites_of_all (id, tenant_id, secret_hash, role, uses, created_by, created_at, expires_at, revoked_at, member_id)
  SELECT id, tenant_id, secret_hash, role, uses, created_by, created_at, expires_at, revoked_at, member_id FROM invites;
DROP TABLE invites;
ALTER TABLE invites_of_all RENAME TO invites;
CREATE INDEX invites_by_tenant ON invites (tenant_id, created_at);

-- As it was (0009): a table that a trigger names cannot be replaced.
CREATE TRIGGER members_returned AFTER UPDATE OF identity_key ON members WHEN OLD.identity_key <> NEW.identity_key BEGIN
  UPDATE devices SET revoked_at = NEW.returned_at
    WHERE tenant_id = NEW.tenant_id AND member_id = NEW.id AND revoked_at IS NULL;
  DELETE FROM recoveries WHERE tenant_id = NEW.tenant_id AND member_id = NEW.id;
  UPDATE invites SET revoked_at = NEW.returned_at
    WHERE tenant_id = NEW.tenant_id AND created_by = NEW.id AND revoked_at IS NULL;
END;
