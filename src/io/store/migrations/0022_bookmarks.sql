-- 标记: places in a recording, in milliseconds from its begin.
CREATE TABLE bookmark (
  id      INTEGER PRIMARY KEY,
  call    TEXT NOT NULL REFERENCES call (id),
  at_ms   INTEGER NOT NULL,
  text    TEXT NOT NULL,
  person  INTEGER REFERENCES person (id),
  actor   TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  -- shown no more from then on
  taken_back_ms INTEGER,
  taken_back_by TEXT
) STRICT;

CREATE INDEX bookmark_by_call ON bookmark (call);
CREATE TRIGGER bookmark_is_not_changed BEFORE UPDATE ON bookmark
WHEN old.taken_back_ms IS NOT NULL OR new.call <> old.call OR new.at_ms <> old.at_ms OR new.text <> old.text
  OR new.actor <> old.actor OR new.person IS NOT old.person OR new.made_ms <> old.made_ms
BEGIN SELECT RAISE(ABORT, 'bookmarks are never changed'); END;
CREATE TRIGGER bookmark_is_kept BEFORE DELETE ON bookmark
BEGIN SELECT RAISE(ABORT, 'bookmarks are never deleted'); END;
