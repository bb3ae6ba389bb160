-- What kind of device it says it is; null for one that has not said so yet.
ALTER TABLE devices ADD COLUMN kind TEXT CHECK (kind IN ('computer', 'phone', 'terminal'));
