-- Meeting places of two devices that share a code. Whoever knows the id may leave and read what the code alone can open.

CREATE TABLE links (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  offer TEXT NOT NULL,
  hello TEXT,
  reveal TEXT,
  handover TEXT,
  expires_at INTEGER NOT NULL,
  FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_device ON links (tenant_id, device_id);
CREATE INDEX links_by_expiry ON links (expires_at);
