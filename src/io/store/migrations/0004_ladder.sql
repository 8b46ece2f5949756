-- The SIP messages of each call, as they came and went, without credentials. A call's row may be
-- written after its first messages: `call` is no foreign key.
CREATE TABLE sip_message (
  id        INTEGER PRIMARY KEY,
  call      TEXT NOT NULL,
  at_ms     INTEGER NOT NULL,
  at_mono   INTEGER NOT NULL,
  kind      TEXT NOT NULL CHECK (kind IN ('in', 'out', 'cut', 'lost')),
  transport TEXT NOT NULL DEFAULT '',
  peer      TEXT NOT NULL DEFAULT '',
  -- empty for the caller's leg, else the number that was dialled
  leg       TEXT NOT NULL DEFAULT '',
  -- NULL: the same as those of `again`
  bytes     BLOB,
  again     INTEGER REFERENCES sip_message (id),
  -- how many are missing here
  lost      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX sip_message_by_call ON sip_message (call);
CREATE TRIGGER sip_message_is_not_changed BEFORE UPDATE ON sip_message
BEGIN SELECT RAISE(ABORT, 'what was said is never changed'); END;
CREATE TRIGGER sip_message_is_kept BEFORE DELETE ON sip_message
BEGIN SELECT RAISE(ABORT, 'what was said is never deleted'); END;
CREATE INDEX call_by_sip_call_id ON call (sip_call_id);
