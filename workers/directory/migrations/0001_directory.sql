-- Who exists and who may. Every table but tenants starts its key with the tenant; times in milliseconds, keys as base64url.

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  residency TEXT NOT NULL CHECK (residency IN ('eu', 'global')),
  policy TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  suspended_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE invites (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants (id),
  secret_hash TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
  uses INTEGER NOT NULL CHECK (uses > 0),
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_tenant ON invites (tenant_id, created_at);

-- An invite's uses are counted by the members that name it, so that a use and a member are one row.
CREATE TABLE members (
  tenant_id TEXT NOT NULL REFERENCES tenants (id),
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  identity_key TEXT NOT NULL,
  invite_id TEXT,
  created_at INTEGER NOT NULL,
  removed_at INTEGER,
  -- Set once the mailbox has confirmed the removal; removed and not closed = still to be carried out.
  closed_at INTEGER,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_invite ON members (tenant_id, invite_id) WHERE invite_id IS NOT NULL;
CREATE INDEX members_to_close ON members (tenant_id) WHERE removed_at IS NOT NULL AND closed_at IS NULL;

CREATE TABLE devices (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  name TEXT NOT NULL,
  signature_key TEXT NOT NULL,
  certificate TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  revoked_at INTEGER,
  -- Set once the mailbox has confirmed the revocation.
  expelled_at INTEGER,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_member ON devices (tenant_id, member_id);
CREATE INDEX devices_by_revocation ON devices (tenant_id, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX devices_to_expel ON devices (tenant_id) WHERE revoked_at IS NOT NULL AND expelled_at IS NULL;

-- An index for lists. The conversation's object decides who is in it.
CREATE TABLE conversations (
  tenant_id TEXT NOT NULL REFERENCES tenants (id),
  id TEXT NOT NULL,
  created_by TEXT NOT NULL,
  -- Digest of the members it was founded with: tells a repeat from another conversation of the same id.
  founding TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE participants (
  tenant_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  removed_at INTEGER,
  PRIMARY KEY (tenant_id, conversation_id, member_id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id),
  FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX participants_by_member ON participants (tenant_id, member_id) WHERE removed_at IS NULL;
