-- Times: *_ms is milliseconds since 1970 in UTC, *_mono nanoseconds on the host's boot clock.

CREATE TABLE boot (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id  TEXT NOT NULL
) STRICT;

-- The last number given on a day, by kind (电, 记). Numbers are never given twice.
CREATE TABLE number_given (
  kind TEXT NOT NULL,
  day  TEXT NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (kind, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
  id   INTEGER PRIMARY KEY,
  unit TEXT NOT NULL,
  name TEXT NOT NULL,
  duty TEXT NOT NULL,
  -- 0: no longer in the directory; kept because calls name it
  current INTEGER NOT NULL DEFAULT 1,
  UNIQUE (unit, name)
) STRICT;

CREATE TABLE contact_number (
  number  TEXT NOT NULL,
  contact INTEGER NOT NULL REFERENCES contact (id),
  PRIMARY KEY (number, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
  id          TEXT PRIMARY KEY,
  number      TEXT NOT NULL UNIQUE,
  source      TEXT NOT NULL,
  occurred_ms INTEGER NOT NULL,
  recorded_ms INTEGER NOT NULL,
  state       TEXT NOT NULL DEFAULT 'stub'
              CHECK (state IN ('stub', 'registered', 'in_progress', 'closed', 'reopened')),
  urgency     TEXT NOT NULL DEFAULT 'routine'
              CHECK (urgency IN ('routine', 'urgent', 'critical')),
  revision    INTEGER NOT NULL DEFAULT 0,
  category       TEXT NOT NULL DEFAULT '',
  caller_unit    TEXT NOT NULL DEFAULT '',
  caller_name    TEXT NOT NULL DEFAULT '',
  caller_duty    TEXT NOT NULL DEFAULT '',
  caller_phone   TEXT NOT NULL DEFAULT '',
  subject        TEXT NOT NULL DEFAULT '',
  content        TEXT NOT NULL DEFAULT '',
  event_time     TEXT NOT NULL DEFAULT '',
  event_place    TEXT NOT NULL DEFAULT '',
  event_source   TEXT NOT NULL DEFAULT '',
  event_cause    TEXT NOT NULL DEFAULT '',
  event_course   TEXT NOT NULL DEFAULT '',
  event_harm     TEXT NOT NULL DEFAULT '',
  event_extent   TEXT NOT NULL DEFAULT '',
  event_trend    TEXT NOT NULL DEFAULT '',
  event_measures TEXT NOT NULL DEFAULT '',
  proposal       TEXT NOT NULL DEFAULT '',
  undertaker     TEXT NOT NULL DEFAULT '',
  result         TEXT NOT NULL DEFAULT '',
  remark         TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX entry_by_time ON entry (occurred_ms);

CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;

CREATE TABLE revision (
  entry       TEXT NOT NULL REFERENCES entry (id),
  no          INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  person      INTEGER REFERENCES person (id),
  actor       TEXT NOT NULL,
  at_ms       INTEGER NOT NULL,
  -- [{"field", "old", "new"}]
  changes     TEXT NOT NULL,
  reason      TEXT NOT NULL,
  prev_digest TEXT NOT NULL,
  digest      TEXT NOT NULL,
  PRIMARY KEY (entry, no)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER revision_is_not_changed BEFORE UPDATE ON revision
BEGIN SELECT RAISE(ABORT, 'revisions are never changed'); END;
CREATE TRIGGER revision_is_kept BEFORE DELETE ON revision
BEGIN SELECT RAISE(ABORT, 'revisions are never deleted'); END;

CREATE TABLE call (
  id            TEXT PRIMARY KEY,
  number        TEXT NOT NULL UNIQUE,
  entry         TEXT NOT NULL REFERENCES entry (id),
  direction     TEXT NOT NULL CHECK (direction IN ('in', 'to_leader')),
  state         TEXT NOT NULL CHECK (state IN ('ringing', 'in_call', 'ended')),
  sip_call_id   TEXT NOT NULL DEFAULT '',
  source        TEXT NOT NULL DEFAULT '',
  callee        TEXT NOT NULL DEFAULT '',
  caller        TEXT NOT NULL DEFAULT '',
  caller_plain  TEXT NOT NULL DEFAULT '',
  display       TEXT NOT NULL DEFAULT '',
  from_user     TEXT NOT NULL DEFAULT '',
  from_display  TEXT NOT NULL DEFAULT '',
  from_raw      BLOB,
  asserted_user    TEXT,
  asserted_display TEXT,
  asserted_raw     BLOB,
  fault         TEXT,
  contact       INTEGER REFERENCES contact (id),
  -- as the directory had it when the call came
  contact_unit  TEXT NOT NULL DEFAULT '',
  contact_name  TEXT NOT NULL DEFAULT '',
  contact_duty  TEXT NOT NULL DEFAULT '',
  -- 今晚第 n 次
  nth_today     INTEGER NOT NULL DEFAULT 1,
  arrived_ms    INTEGER NOT NULL,
  arrived_mono  INTEGER NOT NULL,
  answered_ms   INTEGER,
  answered_mono INTEGER,
  answered_by   TEXT,
  ended_ms      INTEGER,
  ended_mono    INTEGER,
  disposition   TEXT,
  ended_by      TEXT,
  status        INTEGER,
  why           TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX call_by_entry ON call (entry);
CREATE INDEX call_by_caller ON call (caller_plain, arrived_ms);
CREATE INDEX call_unended ON call (arrived_ms) WHERE state <> 'ended';
CREATE TRIGGER call_is_kept BEFORE DELETE ON call
BEGIN SELECT RAISE(ABORT, 'calls are never deleted'); END;

CREATE TABLE leg (
  id        INTEGER PRIMARY KEY,
  call      TEXT NOT NULL REFERENCES call (id),
  phone     TEXT NOT NULL,
  rung_ms   INTEGER NOT NULL,
  rung_mono INTEGER NOT NULL,
  taken_ms  INTEGER,
  ended_ms  INTEGER,
  status    INTEGER,
  UNIQUE (call, phone, rung_mono)
) STRICT;

-- What a party's voice channel carried.
CREATE TABLE carried (
  call      TEXT NOT NULL REFERENCES call (id),
  party     TEXT NOT NULL,
  received  INTEGER NOT NULL,
  sent      INTEGER NOT NULL,
  lost      INTEGER NOT NULL,
  strangers INTEGER NOT NULL,
  untaped   INTEGER NOT NULL,
  PRIMARY KEY (call, party)
) STRICT, WITHOUT ROWID;

CREATE TABLE recording (
  call        TEXT PRIMARY KEY REFERENCES call (id),
  state       TEXT NOT NULL
              CHECK (state IN ('recording', 'finalizing', 'sealed', 'partial', 'missing')),
  started_ms  INTEGER NOT NULL,
  wav         TEXT,
  tape        TEXT,
  bytes       INTEGER,
  duration_ms INTEGER,
  digest      TEXT,
  -- [{"party", "from_ms", "lasts_ms"}]
  gaps        TEXT NOT NULL DEFAULT '[]',
  sealed_ms   INTEGER,
  reason      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TRIGGER recording_is_sealed BEFORE UPDATE ON recording
WHEN old.digest IS NOT NULL AND (new.digest IS NOT old.digest OR new.wav IS NOT old.wav)
BEGIN SELECT RAISE(ABORT, 'a sealed recording is never changed'); END;
CREATE TRIGGER recording_is_kept BEFORE DELETE ON recording
BEGIN SELECT RAISE(ABORT, 'recordings are never deleted'); END;

CREATE TABLE person (
  id       INTEGER PRIMARY KEY,
  login    TEXT NOT NULL UNIQUE,
  name     TEXT NOT NULL,
  role     TEXT NOT NULL CHECK (role IN ('officer', 'leader', 'admin')),
  password TEXT NOT NULL,
  added_ms INTEGER NOT NULL,
  active   INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE session (
  -- SHA-256 of the token
  token      TEXT PRIMARY KEY,
  person     INTEGER NOT NULL REFERENCES person (id),
  opened_ms  INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE login_link (
  -- SHA-256 of the token
  token      TEXT PRIMARY KEY,
  -- NULL: makes the first account
  person     INTEGER REFERENCES person (id),
  made_ms    INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE escalation (
  id           TEXT PRIMARY KEY,
  entry        TEXT NOT NULL REFERENCES entry (id),
  urgency      TEXT NOT NULL CHECK (urgency IN ('urgent', 'critical')),
  state        TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'withdrawn')),
  raised_by    TEXT NOT NULL,
  raised_ms    INTEGER NOT NULL,
  -- NULL in these mono columns: a boot of the host lies between
  raised_mono  INTEGER,
  -- the ladder is gone through in rounds
  round        INTEGER NOT NULL DEFAULT 0,
  round_ms     INTEGER NOT NULL,
  round_mono   INTEGER,
  siren_ms     INTEGER,
  leader_reached_ms INTEGER,
  withdrawn_ms INTEGER,
  withdrawn_by TEXT,
  reason       TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE UNIQUE INDEX escalation_one_open ON escalation (entry) WHERE state = 'open';
CREATE INDEX escalation_by_entry ON escalation (entry);
-- Nothing more to do: withdrawn, or acknowledged and the duty leader himself reached.
CREATE INDEX escalation_unfinished ON escalation (raised_ms)
  WHERE state = 'open' OR (state = 'acknowledged' AND leader_reached_ms IS NULL);
CREATE TRIGGER escalation_stays_ended BEFORE UPDATE OF state ON escalation
WHEN old.state <> 'open' AND new.state <> old.state
BEGIN SELECT RAISE(ABORT, 'an ended escalation stays ended'); END;
CREATE TRIGGER escalation_is_kept BEFORE DELETE ON escalation
BEGIN SELECT RAISE(ABORT, 'escalations are never deleted'); END;

CREATE TABLE attempt (
  id            TEXT PRIMARY KEY REFERENCES call (id),
  escalation    TEXT NOT NULL REFERENCES escalation (id),
  seq           INTEGER NOT NULL,
  round         INTEGER NOT NULL,
  tier          INTEGER,
  call_of_tier  INTEGER,
  role          TEXT NOT NULL,
  person        TEXT NOT NULL,
  target        TEXT NOT NULL,
  why           TEXT NOT NULL,
  started_ms    INTEGER NOT NULL,
  started_mono  INTEGER,
  ringing_ms    INTEGER,
  answered_ms   INTEGER,
  ended_ms      INTEGER,
  ended_mono    INTEGER,
  status        INTEGER,
  result        TEXT,
  -- the switchboard was told to stop it
  stopped_ms    INTEGER,
  UNIQUE (escalation, seq)
) STRICT;

CREATE INDEX attempt_in_flight ON attempt (escalation) WHERE ended_ms IS NULL;
CREATE INDEX attempt_dead ON attempt (escalation) WHERE result = 'unreachable';
CREATE TRIGGER attempt_is_kept BEFORE DELETE ON attempt
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;

-- Keys other than the acknowledging one.
CREATE TABLE attempt_key (
  attempt TEXT NOT NULL REFERENCES attempt (id),
  at_ms   INTEGER NOT NULL,
  at_mono INTEGER NOT NULL,
  key     TEXT NOT NULL,
  PRIMARY KEY (attempt, at_mono)
) STRICT, WITHOUT ROWID;

CREATE TABLE acknowledgement (
  attempt    TEXT PRIMARY KEY REFERENCES attempt (id),
  escalation TEXT NOT NULL REFERENCES escalation (id),
  person     TEXT NOT NULL,
  role       TEXT NOT NULL,
  channel    TEXT NOT NULL,
  at_ms      INTEGER NOT NULL,
  outcome    TEXT NOT NULL CHECK (outcome IN ('first', 'late', 'withdrawn'))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX acknowledgement_first ON acknowledgement (escalation)
  WHERE outcome = 'first';
CREATE TRIGGER acknowledgement_is_not_changed BEFORE UPDATE ON acknowledgement
BEGIN SELECT RAISE(ABORT, 'acknowledgements are never changed'); END;
CREATE TRIGGER acknowledgement_is_kept BEFORE DELETE ON acknowledgement
BEGIN SELECT RAISE(ABORT, 'acknowledgements are never deleted'); END;

CREATE TABLE outage (
  id      INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL CHECK (kind IN ('line', 'log', 'recorder', 'storage', 'service')),
  from_ms INTEGER NOT NULL,
  to_ms   INTEGER,
  status  INTEGER,
  why     TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX outage_one_open ON outage (kind) WHERE to_ms IS NULL;

CREATE TABLE audit (
  id          INTEGER PRIMARY KEY,
  at_ms       INTEGER NOT NULL,
  person      INTEGER REFERENCES person (id),
  actor       TEXT NOT NULL,
  terminal    TEXT NOT NULL,
  action      TEXT NOT NULL,
  object      TEXT NOT NULL,
  detail      TEXT NOT NULL,
  prev_digest TEXT NOT NULL,
  digest      TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_object ON audit (object);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is never deleted'); END;
