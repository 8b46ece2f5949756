-- What can be searched, made of the rows that say it: nothing is known here alone, and nothing of it is proved.

-- An entry's place in the index: sixteen for each millisecond, so that their order is that of time.
CREATE TABLE searchable (
  id    INTEGER PRIMARY KEY,
  entry TEXT NOT NULL UNIQUE
) STRICT;

-- The words of an entry as `duty::words` cuts them; the texts themselves are not kept a second time.
CREATE VIRTUAL TABLE search USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');

-- Entries to be indexed: noted with what changed them, and gone when they are.
CREATE TABLE to_index (
  entry  TEXT PRIMARY KEY,
  -- 1: the index did not take it
  failed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
