-- 演练, 点名, 号码核实: entries whose escalation is no real one.
CREATE TABLE exercise (
  entry    TEXT PRIMARY KEY REFERENCES entry (id),
  kind     TEXT NOT NULL CHECK (kind IN ('drill', 'roll_call', 'number')),
  -- what was begun together has one name
  run      TEXT NOT NULL,
  -- whom it is about; empty for a drill
  person   TEXT NOT NULL,
  role     TEXT NOT NULL,
  -- the one number that is tried; empty for every one of his
  number   TEXT NOT NULL,
  -- empty for the schedule
  asked_by TEXT NOT NULL,
  at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX exercise_by_run ON exercise (kind, at_ms);
CREATE TRIGGER exercise_is_not_changed BEFORE UPDATE ON exercise
BEGIN SELECT RAISE(ABORT, 'exercises are never changed'); END;
CREATE TRIGGER exercise_is_kept BEFORE DELETE ON exercise
BEGIN SELECT RAISE(ABORT, 'exercises are never deleted'); END;

-- When somebody pressed a key at this number.
CREATE INDEX attempt_by_number ON attempt (target, person);
