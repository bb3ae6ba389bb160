-- What a company has decided (its policy, and whether it is suspended) is numbered, so that every object knows the newer of two. `told` is the
-- newest revision that all of its objects have confirmed. A trigger counts, so that no statement that decides anything can forget to.

ALTER TABLE tenants ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tenants ADD COLUMN told INTEGER NOT NULL DEFAULT 1;
UPDATE tenants SET told = 0;

CREATE TRIGGER tenants_decided AFTER UPDATE OF policy, suspended_at ON tenants
  WHEN OLD.policy <> NEW.policy OR OLD.suspended_at IS NOT NEW.suspended_at BEGIN
  UPDATE tenants SET revision = OLD.revision + 1 WHERE id = NEW.id;
END;
