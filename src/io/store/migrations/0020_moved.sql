-- When an attempt was moved into another call: so long that call may take from then on.
ALTER TABLE attempt ADD COLUMN moved_ms INTEGER;
ALTER TABLE attempt ADD COLUMN moved_mono INTEGER;
