-- How a party was heard on one channel, from its first packet to its last. Jitter in microseconds, MOS in hundredths
-- (ITU-T G.107).
CREATE TABLE quality (
  call           TEXT NOT NULL REFERENCES call (id),
  party          TEXT NOT NULL,
  from_ms        INTEGER NOT NULL,
  to_ms          INTEGER NOT NULL,
  expected       INTEGER NOT NULL,
  received       INTEGER NOT NULL,
  lost           INTEGER NOT NULL,
  -- runs of lost packets
  gaps           INTEGER NOT NULL,
  late           INTEGER NOT NULL,
  reordered      INTEGER NOT NULL,
  doubled        INTEGER NOT NULL,
  jitter_us      INTEGER NOT NULL,
  jitter_most_us INTEGER NOT NULL,
  -- all four NULL: too little was said to judge
  mos_latest     INTEGER,
  mos_mean       INTEGER,
  mos_worst      INTEGER,
  worst_ms       INTEGER,
  -- what the far end told of what we sent; NULL where it told nothing
  rtt_us         INTEGER,
  far_lost       INTEGER,
  far_jitter_us  INTEGER,
  PRIMARY KEY (call, party, from_ms)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER quality_is_kept BEFORE DELETE ON quality
BEGIN SELECT RAISE(ABORT, 'how a party was heard is never deleted'); END;
