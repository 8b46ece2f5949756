-- Answers to short messages: by which code, from whom, and what came of it.

-- What is sent back to acknowledge an entry's matter.
CREATE TABLE reply_code (
  entry   TEXT PRIMARY KEY REFERENCES entry (id),
  code    TEXT NOT NULL,
  made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX reply_code_by_code ON reply_code (code);
CREATE TRIGGER reply_code_is_not_changed BEFORE UPDATE ON reply_code
BEGIN SELECT RAISE(ABORT, 'codes are never changed'); END;
CREATE TRIGGER reply_code_is_kept BEFORE DELETE ON reply_code
BEGIN SELECT RAISE(ABORT, 'codes are never deleted'); END;

-- Who was sent a short message of which matter, at which number and in which capacity.
CREATE TABLE texted (
  delivery TEXT NOT NULL REFERENCES delivery (id),
  -- as it is written at home
  number   TEXT NOT NULL,
  entry    TEXT NOT NULL REFERENCES entry (id),
  person   TEXT NOT NULL,
  role     TEXT NOT NULL,
  at_ms    INTEGER NOT NULL,
  PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX texted_by_number ON texted (number, at_ms);
CREATE INDEX texted_by_entry ON texted (entry, at_ms);
CREATE TRIGGER texted_is_not_changed BEFORE UPDATE ON texted
BEGIN SELECT RAISE(ABORT, 'who was told is never changed'); END;
CREATE TRIGGER texted_is_kept BEFORE DELETE ON texted
BEGIN SELECT RAISE(ABORT, 'who was told is never deleted'); END;

-- Thirty days, since it was made and since it was last sent.
CREATE TRIGGER reply_code_is_of_one BEFORE INSERT ON reply_code
WHEN EXISTS (SELECT 1 FROM reply_code r WHERE r.code = new.code
  AND (r.made_ms > new.made_ms - 2592000000 OR EXISTS (SELECT 1 FROM texted t
    WHERE t.entry = r.entry AND t.at_ms > new.made_ms - 2592000000)))
BEGIN SELECT RAISE(ABORT, 'a code is not used again for thirty days'); END;

CREATE TABLE reply (
  id       INTEGER PRIMARY KEY,
  channel  TEXT NOT NULL,
  -- the same message that comes twice has the same
  name     TEXT NOT NULL,
  number   TEXT NOT NULL,
  at_ms    INTEGER NOT NULL,
  -- by the network's clock; NULL: it does not say
  sent_ms  INTEGER,
  -- of somebody who was told of something
  text     TEXT NOT NULL,
  meaning  TEXT NOT NULL CHECK (meaning IN ('acknowledges', 'which', 'unclear', 'strange')),
  answered INTEGER NOT NULL CHECK (answered IN (0, 1)),
  UNIQUE (channel, name)
) STRICT;

CREATE INDEX reply_by_number ON reply (number, at_ms);
CREATE TRIGGER reply_is_not_changed BEFORE UPDATE ON reply
BEGIN SELECT RAISE(ABORT, 'replies are never changed'); END;
CREATE TRIGGER reply_is_kept BEFORE DELETE ON reply
BEGIN SELECT RAISE(ABORT, 'replies are never deleted'); END;

-- Acknowledged without a call, now by a short message too.
CREATE TABLE told_anew (
  id         INTEGER PRIMARY KEY,
  escalation TEXT NOT NULL REFERENCES escalation (id),
  person     TEXT NOT NULL,
  role       TEXT NOT NULL,
  channel    TEXT NOT NULL CHECK (channel IN ('page', 'by_hand', 'sms')),
  at_ms      INTEGER NOT NULL,
  outcome    TEXT NOT NULL CHECK (outcome IN ('first', 'late', 'withdrawn')),
  -- by_hand: who says so, and how
  how        TEXT NOT NULL
) STRICT;

INSERT INTO told_anew SELECT id, escalation, person, role, channel, at_ms, outcome, how FROM told;
DROP TABLE told;
ALTER TABLE told_anew RENAME TO told;

CREATE INDEX told_by_escalation ON told (escalation);
CREATE TRIGGER told_is_not_changed BEFORE UPDATE ON told
BEGIN SELECT RAISE(ABORT, 'acknowledgements are never changed'); END;
CREATE TRIGGER told_is_kept BEFORE DELETE ON told
BEGIN SELECT RAISE(ABORT, 'acknowledgements are never deleted'); END;
