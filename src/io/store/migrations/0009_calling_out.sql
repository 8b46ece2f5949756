-- Calls of ours over the duty line: a direction of their own. `caller` and what is known of him is
-- then whom we call.
ALTER TABLE call ADD COLUMN way TEXT NOT NULL DEFAULT 'in'
  CHECK (way IN ('in', 'to_leader', 'out'));
UPDATE call SET way = direction;
ALTER TABLE call DROP COLUMN direction;
ALTER TABLE call RENAME COLUMN way TO direction;
-- Who asked for it, and the entry that it is about.
ALTER TABLE call ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE call ADD COLUMN asked_person INTEGER REFERENCES person (id);
ALTER TABLE call ADD COLUMN about TEXT REFERENCES entry (id);
CREATE INDEX call_about ON call (about) WHERE about IS NOT NULL;

-- out: the number that was called.
ALTER TABLE leg ADD COLUMN way TEXT NOT NULL DEFAULT 'rung'
  CHECK (way IN ('rung', 'transfer', 'pickup', 'conference', 'out'));
UPDATE leg SET way = how;
ALTER TABLE leg DROP COLUMN how;
ALTER TABLE leg RENAME COLUMN way TO how;

-- Calls that were made for somebody and count for the day's cap.
CREATE TABLE dialled (
  call    TEXT NOT NULL,
  number  TEXT NOT NULL,
  at_ms   INTEGER NOT NULL,
  at_mono INTEGER NOT NULL,
  PRIMARY KEY (call, at_mono)
) STRICT, WITHOUT ROWID;

CREATE INDEX dialled_by_time ON dialled (at_ms);
CREATE TRIGGER dialled_is_kept BEFORE DELETE ON dialled
BEGIN SELECT RAISE(ABORT, 'what was dialled is never deleted'); END;
