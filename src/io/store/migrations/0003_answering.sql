-- What a call's entry shows with its times: heard before the answer, queued, message, holds.
CREATE TABLE stretch (
  call      TEXT NOT NULL REFERENCES call (id),
  kind      TEXT NOT NULL CHECK (kind IN ('early', 'queued', 'message', 'hold')),
  -- who holds; empty for the other kinds
  party     TEXT NOT NULL DEFAULT '',
  from_ms   INTEGER NOT NULL,
  from_mono INTEGER NOT NULL,
  to_ms     INTEGER,
  to_mono   INTEGER,
  PRIMARY KEY (call, kind, party, from_mono)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER stretch_is_kept BEFORE DELETE ON stretch
BEGIN SELECT RAISE(ABORT, 'stretches are never deleted'); END;

-- 回拨: a caller who was not spoken to. 待回拨 becomes 已回拨 or 无法回拨 (with the reason), once.
CREATE TABLE callback (
  call       TEXT PRIMARY KEY REFERENCES call (id),
  state      TEXT NOT NULL CHECK (state IN ('open', 'called_back', 'impossible')),
  made_ms    INTEGER NOT NULL,
  settled_ms INTEGER,
  settled_by TEXT,
  reason     TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE INDEX callback_open ON callback (made_ms) WHERE state = 'open';
CREATE TRIGGER callback_stays_settled BEFORE UPDATE ON callback WHEN old.state <> 'open'
BEGIN SELECT RAISE(ABORT, 'a settled callback stays settled'); END;
CREATE TRIGGER callback_is_kept BEFORE DELETE ON callback
BEGIN SELECT RAISE(ABORT, 'callbacks are never deleted'); END;
