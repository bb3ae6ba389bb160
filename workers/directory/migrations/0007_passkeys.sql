-- Passkeys: a second way to what a recovery phrase opens. `box` holds the phrase's keys, and only the authenticator can open it.

CREATE TABLE passkeys (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  member_id TEXT NOT NULL,
  -- A passkey goes with its phrase: it opens what another phrase has sealed no more than the old one does.
  lookup TEXT NOT NULL REFERENCES recoveries (lookup) ON DELETE CASCADE,
  credential TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL,
  counter INTEGER NOT NULL,
  box TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- When the newest challenge was made that it has answered: none of that time or before is taken again.
  used_at INTEGER,
  FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_by_member ON passkeys (tenant_id, member_id);
CREATE INDEX passkeys_by_phrase ON passkeys (lookup);

CREATE TRIGGER passkeys_of_removed AFTER UPDATE OF removed_at ON members WHEN NEW.removed_at IS NOT NULL BEGIN
  DELETE FROM passkeys WHERE tenant_id = NEW.tenant_id AND member_id = NEW.id;
END;
