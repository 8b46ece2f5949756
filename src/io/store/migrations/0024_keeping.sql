-- 封存保全: recordings of an entry that is held are destroyed by nobody, until two people have released it.
CREATE TABLE hold (
  id     INTEGER PRIMARY KEY,
  entry  TEXT NOT NULL REFERENCES entry (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX hold_by_entry ON hold (entry);

-- Somebody wants it released, …
CREATE TABLE release_request (
  id     INTEGER PRIMARY KEY,
  hold   INTEGER NOT NULL REFERENCES hold (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX release_request_by_hold ON release_request (hold);

-- … and somebody else agrees.
CREATE TABLE hold_release (
  hold    INTEGER PRIMARY KEY REFERENCES hold (id),
  request INTEGER NOT NULL REFERENCES release_request (id),
  person  INTEGER NOT NULL REFERENCES person (id),
  at_ms   INTEGER NOT NULL
) STRICT;
CREATE TRIGGER hold_release_needs_two BEFORE INSERT ON hold_release
WHEN (SELECT r.hold = NEW.hold AND r.person <> NEW.person FROM release_request r
      WHERE r.id = NEW.request) IS NOT 1
BEGIN SELECT RAISE(ABORT, 'a hold is released by two people'); END;

-- What a hold covers: its entry, calls of ours about it, calls in which a leader was told of it beside another matter.
CREATE VIEW held_entry AS
WITH RECURSIVE matter (entry) AS (
  SELECT h.entry FROM hold h LEFT JOIN hold_release f ON f.hold = h.id WHERE f.hold IS NULL
  UNION SELECT c.entry FROM matter m CROSS JOIN call c ON c.about = m.entry)
SELECT entry FROM matter;
CREATE VIEW held_call AS
SELECT c.id AS call FROM held_entry h CROSS JOIN call c ON c.entry = h.entry
UNION SELECT a.joined FROM held_entry h CROSS JOIN escalation e ON e.entry = h.entry
  CROSS JOIN attempt a ON a.escalation = e.id WHERE a.joined IS NOT NULL;

-- 急件, in the same way.
CREATE INDEX entry_not_routine ON entry (id) WHERE urgency <> 'routine';
CREATE VIEW urgent_entry AS
WITH RECURSIVE matter (entry) AS (
  SELECT id FROM entry WHERE urgency <> 'routine'
  UNION SELECT entry FROM escalation
  UNION SELECT c.entry FROM matter m CROSS JOIN call c ON c.about = m.entry)
SELECT entry FROM matter;
CREATE VIEW urgent_call AS
SELECT c.id AS call FROM urgent_entry u CROSS JOIN call c ON c.entry = u.entry
UNION SELECT joined FROM attempt WHERE joined IS NOT NULL;

-- 销毁清单: recordings past their keeping that somebody wants destroyed, …
CREATE TABLE destruction (
  id     INTEGER PRIMARY KEY,
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE destruction_item (
  list INTEGER NOT NULL REFERENCES destruction (id),
  call TEXT NOT NULL REFERENCES recording (call),
  PRIMARY KEY (list, call)
) STRICT, WITHOUT ROWID;
CREATE INDEX destruction_item_by_call ON destruction_item (call);

-- … somebody says no, or takes it back, …
CREATE TABLE destruction_refusal (
  list   INTEGER PRIMARY KEY REFERENCES destruction (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;

-- … or somebody else agrees, …
CREATE TABLE destruction_agreement (
  list   INTEGER PRIMARY KEY REFERENCES destruction (id),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER destruction_agreement_needs_two BEFORE INSERT ON destruction_agreement
WHEN (SELECT d.person <> NEW.person FROM destruction d WHERE d.id = NEW.list) IS NOT 1
BEGIN SELECT RAISE(ABORT, 'recordings are destroyed by two people'); END;
CREATE TRIGGER destruction_agreement_is_not_refused BEFORE INSERT ON destruction_agreement
WHEN EXISTS (SELECT 1 FROM destruction_refusal r WHERE r.list = NEW.list)
BEGIN SELECT RAISE(ABORT, 'what was refused is not agreed to'); END;
CREATE TRIGGER destruction_refusal_is_in_time BEFORE INSERT ON destruction_refusal
WHEN EXISTS (SELECT 1 FROM destruction_agreement a WHERE a.list = NEW.list)
BEGIN SELECT RAISE(ABORT, 'what was agreed to is not refused'); END;

-- … and these are given up; their rows and hashes stay.
CREATE TABLE destroyed (
  call  TEXT NOT NULL REFERENCES recording (call),
  list  INTEGER NOT NULL REFERENCES destruction (id),
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (call, list)
) STRICT, WITHOUT ROWID;
CREATE INDEX destroyed_by_list ON destroyed (list);
CREATE TRIGGER destroyed_is_agreed BEFORE INSERT ON destroyed
WHEN NOT EXISTS (
  SELECT 1 FROM destruction_item i JOIN destruction_agreement a ON a.list = i.list
  WHERE i.list = NEW.list AND i.call = NEW.call)
BEGIN SELECT RAISE(ABORT, 'recordings are destroyed by two people'); END;
CREATE TRIGGER destroyed_is_not_held BEFORE INSERT ON destroyed
WHEN NEW.call IN (SELECT call FROM held_call)
BEGIN SELECT RAISE(ABORT, 'what is held is not destroyed'); END;

-- Held before its files were gone: that list destroys it no more, whatever becomes of the hold.
CREATE TABLE spared (
  call  TEXT NOT NULL,
  list  INTEGER NOT NULL,
  hold  INTEGER NOT NULL REFERENCES hold (id),
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (call, list),
  FOREIGN KEY (call, list) REFERENCES destroyed (call, list)
) STRICT, WITHOUT ROWID;

-- Its files are gone from both disks.
CREATE TABLE gone (
  call  TEXT PRIMARY KEY,
  list  INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  FOREIGN KEY (call, list) REFERENCES destroyed (call, list)
) STRICT, WITHOUT ROWID;

CREATE VIEW given_up AS
SELECT d.call, d.list, d.at_ms FROM destroyed d
WHERE NOT EXISTS (SELECT 1 FROM spared s WHERE s.call = d.call AND s.list = d.list)
  OR EXISTS (SELECT 1 FROM gone g WHERE g.call = d.call AND g.list = d.list);
CREATE TRIGGER destroyed_is_once BEFORE INSERT ON destroyed
WHEN EXISTS (SELECT 1 FROM given_up g WHERE g.call = NEW.call)
BEGIN SELECT RAISE(ABORT, 'what is destroyed stays so'); END;

CREATE TRIGGER hold_is_not_changed BEFORE UPDATE ON hold
BEGIN SELECT RAISE(ABORT, 'holds are never changed'); END;
CREATE TRIGGER hold_is_kept BEFORE DELETE ON hold
BEGIN SELECT RAISE(ABORT, 'holds are never deleted'); END;
CREATE TRIGGER release_request_is_not_changed BEFORE UPDATE ON release_request
BEGIN SELECT RAISE(ABORT, 'requests are never changed'); END;
CREATE TRIGGER release_request_is_kept BEFORE DELETE ON release_request
BEGIN SELECT RAISE(ABORT, 'requests are never deleted'); END;
CREATE TRIGGER hold_release_is_not_changed BEFORE UPDATE ON hold_release
BEGIN SELECT RAISE(ABORT, 'releases are never changed'); END;
CREATE TRIGGER hold_release_is_kept BEFORE DELETE ON hold_release
BEGIN SELECT RAISE(ABORT, 'releases are never deleted'); END;
CREATE TRIGGER destruction_is_not_changed BEFORE UPDATE ON destruction
BEGIN SELECT RAISE(ABORT, 'lists are never changed'); END;
CREATE TRIGGER destruction_is_kept BEFORE DELETE ON destruction
BEGIN SELECT RAISE(ABORT, 'lists are never deleted'); END;
CREATE TRIGGER destruction_item_is_not_changed BEFORE UPDATE ON destruction_item
BEGIN SELECT RAISE(ABORT, 'lists are never changed'); END;
CREATE TRIGGER destruction_item_is_kept BEFORE DELETE ON destruction_item
BEGIN SELECT RAISE(ABORT, 'lists are never deleted'); END;
CREATE TRIGGER destruction_agreement_is_not_changed BEFORE UPDATE ON destruction_agreement
BEGIN SELECT RAISE(ABORT, 'agreements are never changed'); END;
CREATE TRIGGER destruction_agreement_is_kept BEFORE DELETE ON destruction_agreement
BEGIN SELECT RAISE(ABORT, 'agreements are never deleted'); END;
CREATE TRIGGER destroyed_is_not_changed BEFORE UPDATE ON destroyed
BEGIN SELECT RAISE(ABORT, 'what is destroyed stays so'); END;
CREATE TRIGGER destroyed_is_kept BEFORE DELETE ON destroyed
BEGIN SELECT RAISE(ABORT, 'what is destroyed stays so'); END;
CREATE TRIGGER destruction_refusal_is_not_changed BEFORE UPDATE ON destruction_refusal
BEGIN SELECT RAISE(ABORT, 'refusals are never changed'); END;
CREATE TRIGGER destruction_refusal_is_kept BEFORE DELETE ON destruction_refusal
BEGIN SELECT RAISE(ABORT, 'refusals are never deleted'); END;
CREATE TRIGGER spared_is_not_changed BEFORE UPDATE ON spared
BEGIN SELECT RAISE(ABORT, 'what is spared stays so'); END;
CREATE TRIGGER spared_is_kept BEFORE DELETE ON spared
BEGIN SELECT RAISE(ABORT, 'what is spared stays so'); END;
CREATE TRIGGER gone_is_not_changed BEFORE UPDATE ON gone
BEGIN SELECT RAISE(ABORT, 'what is gone stays so'); END;
CREATE TRIGGER gone_is_kept BEFORE DELETE ON gone
BEGIN SELECT RAISE(ABORT, 'what is gone stays so'); END;

-- Recordings whose files there are to be.
CREATE VIEW kept_recording AS
SELECT r.* FROM recording r WHERE NOT EXISTS (SELECT 1 FROM given_up g WHERE g.call = r.call);
