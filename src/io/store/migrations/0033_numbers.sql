-- Duty numbers beside the line's own: which one was called, and which one was down.
ALTER TABLE call ADD COLUMN called TEXT NOT NULL DEFAULT '';
-- NULL: the line's own number, or nothing that is of a number
ALTER TABLE outage ADD COLUMN number TEXT;
DROP INDEX outage_one_open;
CREATE UNIQUE INDEX outage_one_open ON outage (kind, coalesce(number, '')) WHERE to_ms IS NULL;
