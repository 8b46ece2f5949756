-- Noted before the first of its files is removed: what is held after that may be gone already.
CREATE TABLE going (
  call  TEXT NOT NULL,
  list  INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (call, list),
  FOREIGN KEY (call, list) REFERENCES destroyed (call, list)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER going_is_not_spared BEFORE INSERT ON going
WHEN EXISTS (SELECT 1 FROM spared s WHERE s.call = NEW.call AND s.list = NEW.list)
BEGIN SELECT RAISE(ABORT, 'what is spared is not removed'); END;
CREATE TRIGGER going_is_not_changed BEFORE UPDATE ON going
BEGIN SELECT RAISE(ABORT, 'what was begun stays so'); END;
CREATE TRIGGER going_is_kept BEFORE DELETE ON going
BEGIN SELECT RAISE(ABORT, 'what was begun stays so'); END;

-- What is about a matter belongs to it whichever of the two was held or flagged: looked for from the call's own side.
DROP TRIGGER destroyed_is_not_held;
DROP VIEW held_call;
DROP VIEW held_entry;
DROP VIEW urgent_call;
DROP VIEW urgent_entry;
DROP INDEX entry_not_routine;
CREATE TRIGGER destroyed_is_not_held BEFORE INSERT ON destroyed
WHEN EXISTS (
  WITH RECURSIVE matter (entry) AS (
    SELECT c.entry FROM call c WHERE c.id = NEW.call
    UNION SELECT e.entry FROM attempt a CROSS JOIN escalation e ON e.id = a.escalation
      WHERE a.joined = NEW.call
    UNION SELECT c.about FROM matter m CROSS JOIN call c ON c.entry = m.entry
      WHERE c.about IS NOT NULL
    UNION SELECT c.entry FROM matter m CROSS JOIN call c ON c.about = m.entry)
  SELECT 1 FROM matter m CROSS JOIN hold h ON h.entry = m.entry
    LEFT JOIN hold_release f ON f.hold = h.id WHERE f.hold IS NULL)
BEGIN SELECT RAISE(ABORT, 'what is held is not destroyed'); END;

-- What became of a recording since it was sealed, which can be looked for.
CREATE VIEW recording_state AS
SELECT r.call, CASE WHEN EXISTS (SELECT 1 FROM gone g WHERE g.call = r.call) THEN 'destroyed'
  WHEN EXISTS (SELECT 1 FROM given_up g WHERE g.call = r.call) THEN 'given_up'
  ELSE r.state END AS state
FROM recording r;
INSERT INTO to_index (entry) SELECT DISTINCT e.id FROM destroyed d JOIN entry e ON e.id = d.call
  WHERE true ON CONFLICT (entry) DO NOTHING;
