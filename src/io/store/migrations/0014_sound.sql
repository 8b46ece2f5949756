-- [{"party", "at_ms", "key"}]: keys that were pressed, and when
ALTER TABLE recording ADD COLUMN keys TEXT NOT NULL DEFAULT '[]';
-- [{"party", "fault", "from_ms", "lasts_ms"}]: what is no voice, or hardly one
ALTER TABLE recording ADD COLUMN findings TEXT NOT NULL DEFAULT '[]';
