-- 1: a backup was put back, and what happened between these times is not in it.
ALTER TABLE outage ADD COLUMN unlogged INTEGER NOT NULL DEFAULT 0;
-- Of a clock that nobody corrects: by how much it was set by then.
ALTER TABLE outage ADD COLUMN off_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outage_unlogged ON outage (to_ms) WHERE unlogged;
