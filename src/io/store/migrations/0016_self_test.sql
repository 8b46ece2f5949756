-- 录音自检: calls of the daemon to its own line, and whether their recordings are what was said.
CREATE TABLE self_test (
  -- the name of the call, whether it came or not
  call       TEXT PRIMARY KEY,
  at_ms      INTEGER NOT NULL,
  -- who asked for it; empty for the schedule
  asked_by   TEXT NOT NULL,
  -- NULL: it is good
  failing    TEXT,
  -- in thousandths how like what was said: left, right, what the caller heard
  like_left  INTEGER NOT NULL,
  like_right INTEGER NOT NULL,
  like_heard INTEGER NOT NULL,
  -- by how much the left is late; NULL: it is not there
  off_ms     INTEGER,
  detail     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX self_test_by_time ON self_test (at_ms);
CREATE TRIGGER self_test_is_not_changed BEFORE UPDATE ON self_test
BEGIN SELECT RAISE(ABORT, 'self-tests are never changed'); END;
CREATE TRIGGER self_test_is_kept BEFORE DELETE ON self_test
BEGIN SELECT RAISE(ABORT, 'self-tests are never deleted'); END;
