-- A leader may join caller and officer: one more way to come into a call.
CREATE TABLE leg_anew (
  id        INTEGER PRIMARY KEY,
  call      TEXT NOT NULL REFERENCES call (id),
  phone     TEXT NOT NULL,
  rung_ms   INTEGER NOT NULL,
  rung_mono INTEGER NOT NULL,
  taken_ms  INTEGER,
  ended_ms  INTEGER,
  status    INTEGER,
  how       TEXT NOT NULL DEFAULT 'rung'
            CHECK (how IN ('rung', 'transfer', 'pickup', 'conference')),
  UNIQUE (call, phone, rung_mono)
) STRICT;
INSERT INTO leg_anew (id, call, phone, rung_ms, rung_mono, taken_ms, ended_ms, status, how)
  SELECT id, call, phone, rung_ms, rung_mono, taken_ms, ended_ms, status, how FROM leg;
DROP TABLE leg;
ALTER TABLE leg_anew RENAME TO leg;
