-- The sound of a recording is kept as FLAC: noted when its WAV was had from it again, byte for byte, on the disk, and
-- from each copy of it. The WAV's own hash stays where it is, and is what the sound is compared with …
CREATE TABLE flac (
  call   TEXT PRIMARY KEY REFERENCES recording (call),
  path   TEXT NOT NULL CHECK (path <> ''),
  -- SHA-256 of the FLAC
  digest TEXT NOT NULL,
  bytes  INTEGER NOT NULL,
  at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER flac_is_of_what_is_kept BEFORE INSERT ON flac
WHEN NOT EXISTS (SELECT 1 FROM kept_recording r WHERE r.call = NEW.call AND r.digest IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'there is no such recording'); END;
CREATE TRIGGER flac_is_not_changed BEFORE UPDATE ON flac
BEGIN SELECT RAISE(ABORT, 'the form of a recording is never changed back'); END;
CREATE TRIGGER flac_is_kept BEFORE DELETE ON flac
BEGIN SELECT RAISE(ABORT, 'the form of a recording is never changed back'); END;

-- … and after that its WAV was removed.
CREATE TABLE wav_removed (
  call  TEXT PRIMARY KEY REFERENCES flac (call),
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER wav_removed_is_not_changed BEFORE UPDATE ON wav_removed
BEGIN SELECT RAISE(ABORT, 'what was removed stays so'); END;
CREATE TRIGGER wav_removed_is_kept BEFORE DELETE ON wav_removed
BEGIN SELECT RAISE(ABORT, 'what was removed stays so'); END;
