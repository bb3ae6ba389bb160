-- The server's part of what opens a device's store at rest. Without it whoever has the device's disk has noise.

CREATE TABLE shares (
  tenant_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  -- SHA-256 of the secret that asks for the share: all that names it from outside.
  unlock_hash TEXT NOT NULL UNIQUE,
  -- Null once it is destroyed.
  share TEXT,
  -- SHA-256 of what a passphrase proves itself with; null without an app lock.
  verifier_hash TEXT,
  wrong_tries INTEGER NOT NULL DEFAULT 0,
  -- No try is taken before.
  retry_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, device_id),
  FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- In the same transaction as the revocation itself; removing a member revokes its devices.
CREATE TRIGGER shares_destroyed AFTER UPDATE OF revoked_at ON devices
  WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL BEGIN
  UPDATE shares SET share = NULL, verifier_hash = NULL WHERE tenant_id = NEW.tenant_id AND device_id = NEW.id;
END;
