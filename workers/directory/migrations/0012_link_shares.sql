-- The share of a device that has entered a code and is not in yet: it goes with its meeting place.

ALTER TABLE links ADD COLUMN unlock_hash TEXT;
ALTER TABLE links ADD COLUMN share TEXT;
CREATE INDEX links_by_unlock_hash ON links (unlock_hash) WHERE unlock_hash IS NOT NULL;
