-- The quiet channels of an escalation, as the configuration had them at the last start.
CREATE TABLE channel (
  name      TEXT PRIMARY KEY,
  kind      TEXT NOT NULL,
  least     TEXT NOT NULL CHECK (least IN ('urgent', 'critical')),
  -- 0: no longer configured; kept because deliveries name it
  current   INTEGER NOT NULL,
  -- it refuses us for good: nothing is sent to it until the next start
  closed_ms INTEGER,
  why       TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- What a channel is owed. Raised with its escalation; its id is the same over all tries.
CREATE TABLE delivery (
  seq        INTEGER PRIMARY KEY,
  id         TEXT NOT NULL UNIQUE,
  escalation TEXT NOT NULL REFERENCES escalation (id),
  channel    TEXT NOT NULL REFERENCES channel (name),
  what       TEXT NOT NULL CHECK (what IN ('alert', 'repeat', 'withdrawn')),
  urgency    TEXT NOT NULL CHECK (urgency IN ('urgent', 'critical')),
  progress   TEXT NOT NULL DEFAULT 'waiting'
             CHECK (progress IN ('waiting', 'accepted', 'failed', 'dropped')),
  why        TEXT NOT NULL DEFAULT '',
  made_ms    INTEGER NOT NULL,
  -- NULL in these mono columns: a boot of the host lies between
  made_mono  INTEGER,
  settled_ms INTEGER
) STRICT;

CREATE INDEX delivery_waiting ON delivery (channel) WHERE progress = 'waiting';
CREATE INDEX delivery_by_escalation ON delivery (escalation, channel);
CREATE UNIQUE INDEX delivery_one_withdrawal ON delivery (escalation, channel)
  WHERE what = 'withdrawn';
CREATE TRIGGER delivery_stays_settled BEFORE UPDATE OF progress ON delivery
WHEN old.progress <> 'waiting'
BEGIN SELECT RAISE(ABORT, 'a settled delivery stays settled'); END;
CREATE TRIGGER delivery_is_kept BEFORE DELETE ON delivery
BEGIN SELECT RAISE(ABORT, 'deliveries are never deleted'); END;

CREATE TABLE delivery_try (
  delivery     TEXT NOT NULL REFERENCES delivery (id),
  no           INTEGER NOT NULL,
  channel      TEXT NOT NULL REFERENCES channel (name),
  -- the delivery that gave the message its name: itself, unless it was sent with others
  message      TEXT NOT NULL REFERENCES delivery (id),
  started_ms   INTEGER NOT NULL,
  started_mono INTEGER,
  ended_ms     INTEGER,
  ended_mono   INTEGER,
  ending       TEXT,
  after_ms     INTEGER,
  -- a code of ours or of the provider
  why          TEXT NOT NULL DEFAULT '',
  provider_id  TEXT,
  PRIMARY KEY (delivery, no)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_try_in_flight ON delivery_try (channel) WHERE ended_ms IS NULL;
CREATE INDEX delivery_try_on_wire ON delivery_try (channel, started_ms) WHERE message = delivery;
CREATE TRIGGER delivery_try_is_kept BEFORE DELETE ON delivery_try
BEGIN SELECT RAISE(ABORT, 'tries are never deleted'); END;
