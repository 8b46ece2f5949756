-- What each voice channel of a party carried, whoever had it: a second officer's counts stand beside the first's.
CREATE TABLE carried_anew (
  call      TEXT NOT NULL REFERENCES call (id),
  party     TEXT NOT NULL,
  -- when the channel was closed; of calls before this table the end of the call
  closed_ms INTEGER NOT NULL,
  received  INTEGER NOT NULL,
  sent      INTEGER NOT NULL,
  lost      INTEGER NOT NULL,
  strangers INTEGER NOT NULL,
  untaped   INTEGER NOT NULL,
  PRIMARY KEY (call, party, closed_ms)
) STRICT, WITHOUT ROWID;

INSERT INTO carried_anew
SELECT k.call, k.party, coalesce(c.ended_ms, 0), k.received, k.sent, k.lost, k.strangers, k.untaped
FROM carried k LEFT JOIN call c ON c.id = k.call;

DROP TABLE carried;
ALTER TABLE carried_anew RENAME TO carried;
