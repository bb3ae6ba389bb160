-- Members who lost everything and are invited anew: an invite may be for one member there is. It lets in one device, whose `admitted_by` names the
-- invite; the member keeps its id and gets another identity key.

ALTER TABLE invites ADD COLUMN member_id TEXT;

-- What is in a vault up to the return is the old key's: returned and not emptied since = still to be destroyed.
ALTER TABLE members ADD COLUMN returned_at INTEGER;
ALTER TABLE members ADD COLUMN emptied_at INTEGER;
CREATE INDEX members_to_empty ON members (tenant_id) WHERE returned_at IS NOT NULL AND emptied_at IS NULL;

-- With an identity key goes everything that came by it, so that no statement that replaces one can forget to.
CREATE TRIGGER members_returned AFTER UPDATE OF identity_key ON members WHEN OLD.identity_key <> NEW.identity_key BEGIN
  UPDATE devices SET revoked_at = NEW.returned_at
    WHERE tenant_id = NEW.tenant_id AND member_id = NEW.id AND revoked_at IS NULL;
  DELETE FROM recoveries WHERE tenant_id = NEW.tenant_id AND member_id = NEW.id;
  UPDATE invites SET revoked_at = NEW.returned_at
    WHERE tenant_id = NEW.tenant_id AND created_by = NEW.id AND revoked_at IS NULL;
END;
