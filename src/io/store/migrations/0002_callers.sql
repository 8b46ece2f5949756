-- Who called, as far as the INVITE says: each header value as it came, and what of it was chosen.
-- The columns from_* and asserted_* of `call` were filled until this schema; `claim` has their
-- content.
CREATE TABLE claim (
  call    TEXT NOT NULL REFERENCES call (id),
  place   INTEGER NOT NULL,
  -- as ClaimHeader names it
  header  TEXT NOT NULL,
  user    TEXT NOT NULL,
  context TEXT NOT NULL,
  display TEXT NOT NULL,
  raw     BLOB NOT NULL,
  -- the number shown was taken from it
  chosen  INTEGER NOT NULL,
  PRIMARY KEY (call, place)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER claim_is_not_changed BEFORE UPDATE ON claim
BEGIN SELECT RAISE(ABORT, 'what a message said is never changed'); END;
CREATE TRIGGER claim_is_kept BEFORE DELETE ON claim
BEGIN SELECT RAISE(ABORT, 'what a message said is never deleted'); END;

ALTER TABLE call ADD COLUMN chosen_from TEXT NOT NULL DEFAULT 'from';
-- the PBX vouches for the number
ALTER TABLE call ADD COLUMN vouched INTEGER NOT NULL DEFAULT 0;
ALTER TABLE call ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
-- [{"number", "display", "header", "why"}], the first first
ALTER TABLE call ADD COLUMN diverted TEXT NOT NULL DEFAULT '[]';
-- 地区号
ALTER TABLE call ADD COLUMN town TEXT NOT NULL DEFAULT '';

UPDATE call SET chosen_from = 'p_asserted_identity', vouched = 1
  WHERE asserted_user <> '' AND caller = asserted_user;

INSERT INTO claim (call, place, header, user, context, display, raw, chosen)
  SELECT id, 0, 'from', from_user, '', from_display, from_raw, vouched = 0 AND caller <> ''
  FROM call WHERE direction = 'in' AND from_raw IS NOT NULL;
INSERT INTO claim (call, place, header, user, context, display, raw, chosen)
  SELECT id, 1, 'p_asserted_identity', asserted_user, '', asserted_display, asserted_raw, vouched
  FROM call WHERE direction = 'in' AND asserted_raw IS NOT NULL;

-- The rules by which call.caller_plain was made.
CREATE TABLE numbering (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  rules TEXT NOT NULL
) STRICT;
