-- Each key that signs the heads after the first: the one before has signed for it, unless that one was lost.
CREATE TABLE key_renewal (
  number INTEGER PRIMARY KEY,
  -- signed by both; by the new one alone where the old one was lost
  note   TEXT NOT NULL,
  lost   INTEGER NOT NULL CHECK (lost IN (0, 1)),
  reason TEXT NOT NULL CHECK (lost = 0 OR reason <> ''),
  actor  TEXT NOT NULL,
  at_ms  INTEGER NOT NULL
) STRICT;

CREATE TRIGGER key_renewal_is_not_changed BEFORE UPDATE ON key_renewal
BEGIN SELECT RAISE(ABORT, 'renewals are never changed'); END;
CREATE TRIGGER key_renewal_is_kept BEFORE DELETE ON key_renewal
BEGIN SELECT RAISE(ABORT, 'renewals are never deleted'); END;
