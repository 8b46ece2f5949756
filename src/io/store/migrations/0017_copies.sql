-- The second copy of a recording: a row when it was read back from the other disk, and not before.
CREATE TABLE copy (
  call      TEXT NOT NULL REFERENCES call (id),
  kind      TEXT NOT NULL CHECK (kind IN ('wav', 'tape')),
  copied_ms INTEGER NOT NULL,
  PRIMARY KEY (call, kind)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER copy_is_not_changed BEFORE UPDATE ON copy
BEGIN SELECT RAISE(ABORT, 'copies are never changed'); END;
CREATE TRIGGER copy_is_kept BEFORE DELETE ON copy
BEGIN SELECT RAISE(ABORT, 'copies are never deleted'); END;

-- Each time that both copies of everything were read and compared with the log.
CREATE TABLE copy_check (
  id      INTEGER PRIMARY KEY,
  from_ms INTEGER NOT NULL,
  to_ms   INTEGER NOT NULL,
  -- files that were read on each disk
  own     INTEGER NOT NULL,
  copies  INTEGER NOT NULL,
  faults  INTEGER NOT NULL,
  -- the first of them
  named   TEXT NOT NULL
) STRICT;

CREATE TRIGGER copy_check_is_not_changed BEFORE UPDATE ON copy_check
BEGIN SELECT RAISE(ABORT, 'checks are never changed'); END;
CREATE TRIGGER copy_check_is_kept BEFORE DELETE ON copy_check
BEGIN SELECT RAISE(ABORT, 'checks are never deleted'); END;

CREATE INDEX recording_by_seal ON recording (sealed_ms);
