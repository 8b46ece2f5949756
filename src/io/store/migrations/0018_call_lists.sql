-- The PBX's lists of calls that were compared with ours, and what came of each call.
CREATE TABLE call_list (
  id      INTEGER PRIMARY KEY,
  at_ms   INTEGER NOT NULL,
  name    TEXT NOT NULL,
  -- SHA-256 of the file
  digest  TEXT NOT NULL UNIQUE,
  from_ms INTEGER NOT NULL,
  to_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE listed_call (
  list     INTEGER NOT NULL REFERENCES call_list (id),
  line     INTEGER NOT NULL,
  at_ms    INTEGER NOT NULL,
  caller   TEXT NOT NULL,
  answered INTEGER NOT NULL,
  found    TEXT NOT NULL CHECK (found IN ('matched', 'unrecorded', 'missed')),
  -- NULL: the daemon never saw it
  call     TEXT REFERENCES call (id),
  PRIMARY KEY (list, line)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER call_list_is_not_changed BEFORE UPDATE ON call_list
BEGIN SELECT RAISE(ABORT, 'call lists are never changed'); END;
CREATE TRIGGER call_list_is_kept BEFORE DELETE ON call_list
BEGIN SELECT RAISE(ABORT, 'call lists are never deleted'); END;
CREATE TRIGGER listed_call_is_not_changed BEFORE UPDATE ON listed_call
BEGIN SELECT RAISE(ABORT, 'call lists are never changed'); END;
CREATE TRIGGER listed_call_is_kept BEFORE DELETE ON listed_call
BEGIN SELECT RAISE(ABORT, 'call lists are never deleted'); END;
