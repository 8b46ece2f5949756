-- What somebody is called for: the matter itself, that he has not looked at it, or (the desk) an
-- instruction that is to be confirmed.
ALTER TABLE attempt ADD COLUMN errand TEXT NOT NULL DEFAULT 'tell'
  CHECK (errand IN ('tell', 'remind', 'confirm'));
-- Nothing was ever heard of whoever answered.
ALTER TABLE attempt ADD COLUMN mute_ms INTEGER;

-- What was played to a leader of the caller's recording.
CREATE TABLE heard (
  attempt  TEXT NOT NULL REFERENCES attempt (id),
  at_ms    INTEGER NOT NULL,
  at_mono  INTEGER NOT NULL,
  lasts_ms INTEGER NOT NULL,
  PRIMARY KEY (attempt, at_mono)
) STRICT, WITHOUT ROWID;

-- Who holds a role from when to when; until it is said otherwise where there is no end.
CREATE TABLE duty (
  id           INTEGER PRIMARY KEY,
  role         TEXT NOT NULL,
  person       TEXT NOT NULL,
  from_ms      INTEGER NOT NULL,
  to_ms        INTEGER,
  entered_by   TEXT NOT NULL,
  entered_ms   INTEGER NOT NULL,
  withdrawn_ms INTEGER,
  withdrawn_by TEXT
) STRICT;

CREATE INDEX duty_by_time ON duty (from_ms);
CREATE TRIGGER duty_is_kept BEFORE DELETE ON duty
BEGIN SELECT RAISE(ABORT, 'duties are never deleted'); END;

-- 替班
CREATE TABLE substitution (
  id           INTEGER PRIMARY KEY,
  absent       TEXT NOT NULL,
  stands_in    TEXT NOT NULL,
  from_ms      INTEGER NOT NULL,
  to_ms        INTEGER NOT NULL,
  reason       TEXT NOT NULL,
  -- of a lower rank: who allowed it
  approved_by  TEXT NOT NULL DEFAULT '',
  entered_by   TEXT NOT NULL,
  entered_ms   INTEGER NOT NULL,
  withdrawn_ms INTEGER,
  withdrawn_by TEXT
) STRICT;

CREATE INDEX substitution_by_time ON substitution (to_ms);
CREATE TRIGGER substitution_is_kept BEFORE DELETE ON substitution
BEGIN SELECT RAISE(ABORT, 'substitutions are never deleted'); END;

-- He who was called stands in for another.
ALTER TABLE attempt ADD COLUMN substitution INTEGER REFERENCES substitution (id);

-- Key 3.
CREATE TABLE handing (
  attempt      TEXT PRIMARY KEY REFERENCES attempt (id),
  escalation   TEXT NOT NULL REFERENCES escalation (id),
  person       TEXT NOT NULL,
  at_ms        INTEGER NOT NULL,
  at_mono      INTEGER,
  outcome      TEXT NOT NULL CHECK (outcome IN ('handed_on', 'passed_on', 'late', 'withdrawn')),
  substitution INTEGER REFERENCES substitution (id)
) STRICT, WITHOUT ROWID;

CREATE INDEX handing_by_escalation ON handing (escalation);
CREATE TRIGGER handing_is_kept BEFORE DELETE ON handing
BEGIN SELECT RAISE(ABORT, 'handings are never deleted'); END;

-- 批示, dictated on the telephone.
CREATE TABLE instruction (
  attempt       TEXT NOT NULL REFERENCES attempt (id),
  from_ms       INTEGER NOT NULL,
  escalation    TEXT NOT NULL REFERENCES escalation (id),
  person        TEXT NOT NULL,
  role          TEXT NOT NULL,
  lasts_ms      INTEGER NOT NULL,
  at_ms         INTEGER NOT NULL,
  at_mono       INTEGER,
  -- 回执
  confirmed_ms  INTEGER,
  confirmed_by  TEXT,
  PRIMARY KEY (attempt, from_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX instruction_by_escalation ON instruction (escalation);
CREATE INDEX instruction_open ON instruction (escalation) WHERE confirmed_ms IS NULL;
CREATE TRIGGER instruction_is_kept BEFORE DELETE ON instruction
BEGIN SELECT RAISE(ABORT, 'instructions are never deleted'); END;

-- Figures and people as they were in force from then on. No PINs.
CREATE TABLE policy (
  id      INTEGER PRIMARY KEY,
  from_ms INTEGER NOT NULL,
  figures TEXT NOT NULL,
  people  TEXT NOT NULL
) STRICT;

CREATE TRIGGER policy_is_not_changed BEFORE UPDATE ON policy
BEGIN SELECT RAISE(ABORT, 'policies are never changed'); END;
CREATE TRIGGER policy_is_kept BEFORE DELETE ON policy
BEGIN SELECT RAISE(ABORT, 'policies are never deleted'); END;

-- The figures that an escalation began with are those it ends with.
ALTER TABLE escalation ADD COLUMN policy INTEGER REFERENCES policy (id);
-- 阅件: the matter came to a leader's knowledge, and how.
ALTER TABLE escalation ADD COLUMN read_ms INTEGER;
ALTER TABLE escalation ADD COLUMN read_by TEXT;
ALTER TABLE escalation ADD COLUMN read_how TEXT;
-- Nothing more follows: why.
ALTER TABLE escalation ADD COLUMN closed_ms INTEGER;
ALTER TABLE escalation ADD COLUMN closed_why TEXT;
-- Raised again because that one came to nothing.
ALTER TABLE escalation ADD COLUMN again_of TEXT REFERENCES escalation (id);
-- The acknowledgement that counts: by whom, in which capacity, and by which way.
ALTER TABLE escalation ADD COLUMN acked_ms INTEGER;
ALTER TABLE escalation ADD COLUMN acked_mono INTEGER;
ALTER TABLE escalation ADD COLUMN acked_by TEXT;
ALTER TABLE escalation ADD COLUMN acked_role TEXT;
ALTER TABLE escalation ADD COLUMN acked_channel TEXT;
ALTER TABLE escalation ADD COLUMN acked_how TEXT;
UPDATE escalation SET (acked_ms, acked_by, acked_role, acked_channel, acked_how) =
  (SELECT at_ms, person, role, channel, '' FROM acknowledgement k
    WHERE k.escalation = escalation.id AND k.outcome = 'first')
  WHERE state = 'acknowledged';

-- Acknowledged without a call: by a leader on his page, or to the officer by another way.
CREATE TABLE told (
  id         INTEGER PRIMARY KEY,
  escalation TEXT NOT NULL REFERENCES escalation (id),
  person     TEXT NOT NULL,
  role       TEXT NOT NULL,
  channel    TEXT NOT NULL CHECK (channel IN ('page', 'by_hand')),
  at_ms      INTEGER NOT NULL,
  outcome    TEXT NOT NULL CHECK (outcome IN ('first', 'late', 'withdrawn')),
  -- by_hand: who says so, and how
  how        TEXT NOT NULL
) STRICT;

CREATE INDEX told_by_escalation ON told (escalation);
CREATE TRIGGER told_is_not_changed BEFORE UPDATE ON told
BEGIN SELECT RAISE(ABORT, 'acknowledgements are never changed'); END;
CREATE TRIGGER told_is_kept BEFORE DELETE ON told
BEGIN SELECT RAISE(ABORT, 'acknowledgements are never deleted'); END;
CREATE INDEX acknowledgement_by_escalation ON acknowledgement (escalation);
-- What was acknowledged before counts as looked at: nobody is reminded of it, nothing is raised
-- again. Where the duty leader himself was reached, it is over.
UPDATE escalation SET read_ms = coalesce(acked_ms, raised_ms), read_by = coalesce(acked_by, ''),
  read_how = 'before' WHERE state = 'acknowledged';
UPDATE escalation SET closed_ms = coalesce(acked_ms, raised_ms), closed_why = ''
  WHERE state = 'acknowledged' AND leader_reached_ms IS NOT NULL;

DROP INDEX escalation_unfinished;
CREATE INDEX escalation_unfinished ON escalation (raised_ms)
  WHERE state = 'open' OR (state = 'acknowledged' AND closed_ms IS NULL);
