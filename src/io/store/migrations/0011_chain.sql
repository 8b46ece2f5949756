-- What each row said, from when on: one chain over all tables but those that `chain.rs` names.

-- The columns that an item's digest covers, in their order.
CREATE TABLE shape (
  id      INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL,
  -- a JSON list
  columns TEXT NOT NULL,
  UNIQUE (kind, columns)
) STRICT;

CREATE TABLE item (
  -- from 0 without a gap
  seq   INTEGER PRIMARY KEY,
  shape INTEGER NOT NULL REFERENCES shape (id),
  -- the row's primary key, a JSON list
  key   TEXT NOT NULL,
  -- SHA-256 and SM3 of the row as it was then, or of its being taken out
  row   BLOB NOT NULL,
  -- SHA-256 and SM3 of the item, which covers the leaf before
  leaf  BLOB NOT NULL
) STRICT;

CREATE TRIGGER item_is_not_changed BEFORE UPDATE ON item
BEGIN SELECT RAISE(ABORT, 'items are never changed'); END;
CREATE TRIGGER item_is_kept BEFORE DELETE ON item
BEGIN SELECT RAISE(ABORT, 'items are never deleted'); END;

-- The signed heads of the tree over the items.
CREATE TABLE head (
  number INTEGER PRIMARY KEY,
  size   INTEGER NOT NULL,
  at_ms  INTEGER NOT NULL,
  note   TEXT NOT NULL
) STRICT;

CREATE TRIGGER head_is_not_changed BEFORE UPDATE ON head
BEGIN SELECT RAISE(ABORT, 'heads are never changed'); END;
CREATE TRIGGER head_is_kept BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'heads are never deleted'); END;

CREATE TABLE chain (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  -- the log's name in its heads
  origin   TEXT NOT NULL,
  -- the tree as it was at the last head
  frontier BLOB NOT NULL
) STRICT;

-- SHA-256 of the sealed tape; NULL: sealed before this column.
ALTER TABLE recording ADD COLUMN tape_digest TEXT;
DROP TRIGGER recording_is_sealed;
CREATE TRIGGER recording_is_sealed BEFORE UPDATE ON recording
WHEN old.digest IS NOT NULL AND (new.digest IS NOT old.digest OR new.wav IS NOT old.wav
  OR new.tape_digest IS NOT old.tape_digest OR new.tape IS NOT old.tape)
BEGIN SELECT RAISE(ABORT, 'a sealed recording is never changed'); END;
