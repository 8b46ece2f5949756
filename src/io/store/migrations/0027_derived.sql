-- 脱敏件: made of a recording that stays as it is; a stretch of it is silent, on one side or both.
CREATE TABLE derived (
  id       INTEGER PRIMARY KEY,
  call     TEXT NOT NULL REFERENCES recording (call),
  -- SHA-256 of the original WAV, as it was read
  original TEXT NOT NULL,
  wav      TEXT NOT NULL,
  digest   TEXT NOT NULL,
  bytes    INTEGER NOT NULL,
  -- what is silent, in milliseconds from its begin
  from_ms  INTEGER NOT NULL CHECK (from_ms >= 0),
  to_ms    INTEGER NOT NULL CHECK (to_ms > from_ms),
  -- left: the other side; right: ours
  side     TEXT NOT NULL CHECK (side IN ('both', 'left', 'right')),
  reason   TEXT NOT NULL CHECK (reason <> ''),
  person   INTEGER REFERENCES person (id),
  actor    TEXT NOT NULL,
  at_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX derived_by_call ON derived (call);
CREATE TRIGGER derived_names_its_original BEFORE INSERT ON derived
WHEN (SELECT r.digest FROM kept_recording r WHERE r.call = NEW.call) IS NOT NEW.original
BEGIN SELECT RAISE(ABORT, 'what is derived names its original'); END;
CREATE TRIGGER derived_is_not_changed BEFORE UPDATE ON derived
BEGIN SELECT RAISE(ABORT, 'what is derived is never changed'); END;
CREATE TRIGGER derived_is_kept BEFORE DELETE ON derived
BEGIN SELECT RAISE(ABORT, 'what is derived is never deleted'); END;
