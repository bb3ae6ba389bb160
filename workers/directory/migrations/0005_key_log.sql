-- What is still to be entered into the tenants' key logs. Triggers write it in the same transaction as the change itself, so that no statement
-- that touches members or devices can forget to.

CREATE TABLE key_events (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant_id TEXT NOT NULL,
  type TEXT NOT NULL CHECK (type IN ('member', 'device', 'revoked', 'removed')),
  member_id TEXT NOT NULL,
  device_id TEXT,
  public_key TEXT,
  certificate TEXT,
  logged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX key_events_to_log ON key_events (tenant_id, n) WHERE logged = 0;

INSERT INTO key_events (tenant_id, type, member_id, public_key)
  SELECT tenant_id, 'member', id, identity_key FROM members ORDER BY created_at, id;
INSERT INTO key_events (tenant_id, type, member_id, device_id, public_key, certificate)
  SELECT tenant_id, 'device', member_id, id, signature_key, certificate FROM devices ORDER BY created_at, id;
INSERT INTO key_events (tenant_id, type, member_id, device_id)
  SELECT tenant_id, 'revoked', member_id, id FROM devices WHERE revoked_at IS NOT NULL ORDER BY revoked_at, id;
INSERT INTO key_events (tenant_id, type, member_id)
  SELECT tenant_id, 'removed', id FROM members WHERE removed_at IS NOT NULL ORDER BY removed_at, id;

CREATE TRIGGER members_entered AFTER INSERT ON members BEGIN
  INSERT INTO key_events (tenant_id, type, member_id, public_key)
    VALUES (NEW.tenant_id, 'member', NEW.id, NEW.identity_key);
END;

CREATE TRIGGER members_rekeyed AFTER UPDATE OF identity_key ON members WHEN OLD.identity_key <> NEW.identity_key BEGIN
  INSERT INTO key_events (tenant_id, type, member_id, public_key)
    VALUES (NEW.tenant_id, 'member', NEW.id, NEW.identity_key);
END;

CREATE TRIGGER members_removed AFTER UPDATE OF removed_at ON members
  WHEN OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL BEGIN
  INSERT INTO key_events (tenant_id, type, member_id) VALUES (NEW.tenant_id, 'removed', NEW.id);
END;

CREATE TRIGGER devices_entered AFTER INSERT ON devices BEGIN
  INSERT INTO key_events (tenant_id, type, member_id, device_id, public_key, certificate)
    VALUES (NEW.tenant_id, 'device', NEW.member_id, NEW.id, NEW.signature_key, NEW.certificate);
END;

CREATE TRIGGER devices_revoked AFTER UPDATE OF revoked_at ON devices
  WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL BEGIN
  INSERT INTO key_events (tenant_id, type, member_id, device_id)
    VALUES (NEW.tenant_id, 'revoked', NEW.member_id, NEW.id);
END;
