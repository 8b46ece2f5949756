-- 交接: who led when an open matter was last looked at, and notices for one person alone.
ALTER TABLE escalation ADD COLUMN led_by TEXT;
-- whoever leads is written to
ALTER TABLE channel ADD COLUMN to_leader INTEGER NOT NULL DEFAULT 0;
-- NULL: for all that the channel is for
ALTER TABLE delivery ADD COLUMN person TEXT;
-- he is told that the matter is another's by now; what is 'alert' then
ALTER TABLE delivery ADD COLUMN handed_over INTEGER NOT NULL DEFAULT 0;
