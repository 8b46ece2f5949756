-- 呈报预案: every version that was ever loaded, word by word, whether it came into force or not.
CREATE TABLE policy_document (
  id          INTEGER PRIMARY KEY,
  -- SHA-256 of the text
  digest      TEXT NOT NULL,
  text        TEXT NOT NULL,
  figures     TEXT NOT NULL,
  name        TEXT NOT NULL,
  approved_by TEXT NOT NULL,
  open_too    INTEGER NOT NULL,
  -- NULL: as soon as it is loaded
  from_ms     INTEGER,
  loaded_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX policy_document_by_digest ON policy_document (digest);
CREATE TRIGGER policy_document_is_not_changed BEFORE UPDATE ON policy_document
BEGIN SELECT RAISE(ABORT, 'policies are never changed'); END;
CREATE TRIGGER policy_document_is_kept BEFORE DELETE ON policy_document
BEGIN SELECT RAISE(ABORT, 'policies are never deleted'); END;

-- How it was judged when it was loaded: a row wherever that says something else than before.
CREATE TABLE policy_verdict (
  id        INTEGER PRIMARY KEY,
  document  INTEGER NOT NULL REFERENCES policy_document (id),
  at_ms     INTEGER NOT NULL,
  -- Whose file it is
  loaded_by TEXT NOT NULL,
  refused   INTEGER NOT NULL,
  -- [refused, Chinese, English] of each finding
  found     TEXT NOT NULL
) STRICT;
CREATE INDEX policy_verdict_by_document ON policy_verdict (document);
CREATE TRIGGER policy_verdict_is_not_changed BEFORE UPDATE ON policy_verdict
BEGIN SELECT RAISE(ABORT, 'verdicts are never changed'); END;
CREATE TRIGGER policy_verdict_is_kept BEFORE DELETE ON policy_verdict
BEGIN SELECT RAISE(ABORT, 'verdicts are never deleted'); END;

-- What was in force from then on; NULL: before versions were kept.
ALTER TABLE policy ADD COLUMN document INTEGER REFERENCES policy_document (id);
