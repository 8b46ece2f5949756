-- Outages of more parts; the clock's steps among them, with what it would have said (from_ms), what
-- it said (to_ms), and by how much it was moved.
CREATE TABLE outage_anew (
  id      INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL CHECK (kind IN
            ('line', 'media', 'log', 'recorder', 'storage', 'clock', 'service')),
  from_ms INTEGER NOT NULL,
  to_ms   INTEGER,
  status  INTEGER,
  why     TEXT NOT NULL,
  -- NULL: not a step of the clock
  step_ms INTEGER
) STRICT;

INSERT INTO outage_anew (id, kind, from_ms, to_ms, status, why)
  SELECT id, kind, from_ms, to_ms, status, why FROM outage;
DROP TABLE outage;
ALTER TABLE outage_anew RENAME TO outage;

CREATE UNIQUE INDEX outage_one_open ON outage (kind) WHERE to_ms IS NULL;
CREATE INDEX outage_by_time ON outage (from_ms);
CREATE TRIGGER outage_is_kept BEFORE DELETE ON outage
BEGIN SELECT RAISE(ABORT, 'outages are never deleted'); END;
