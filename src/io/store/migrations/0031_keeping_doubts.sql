-- 运行计时: for how long the log has been seen running, counted on the host's boot clock; what nobody saw is not counted.
CREATE TABLE hour_meter (
  id       INTEGER PRIMARY KEY,
  boot     TEXT NOT NULL,
  mono     INTEGER NOT NULL,
  -- by the wall clock
  at_ms    INTEGER NOT NULL,
  count_ms INTEGER NOT NULL
) STRICT;
CREATE TRIGGER hour_meter_is_not_changed BEFORE UPDATE ON hour_meter
BEGIN SELECT RAISE(ABORT, 'what was counted stays so'); END;
CREATE TRIGGER hour_meter_is_kept BEFORE DELETE ON hour_meter
BEGIN SELECT RAISE(ABORT, 'what was counted stays so'); END;

-- What it said when a recording was sealed: from then on its age is seen, whatever the wall clock says.
CREATE TABLE recording_age (
  call     TEXT PRIMARY KEY REFERENCES recording (call),
  count_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER recording_age_is_not_changed BEFORE UPDATE ON recording_age
BEGIN SELECT RAISE(ABORT, 'what was counted stays so'); END;
CREATE TRIGGER recording_age_is_kept BEFORE DELETE ON recording_age
BEGIN SELECT RAISE(ABORT, 'what was counted stays so'); END;

-- Of what is older than the meter: from the latest moment that the log knew before it was sealed, less the steps of the
-- clock backwards since, to the last one it knows, less its steps forwards and the time that nobody was there.
INSERT INTO recording_age (call, count_ms)
WITH stepped AS (
  SELECT id, at_ms, action, object, iif(action = 'clock.step', CAST(detail AS INTEGER), 0) AS ms FROM audit),
moved AS (
  SELECT *, coalesce(sum(min(0, ms)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS back,
    sum(max(0, ms)) OVER (ORDER BY id DESC) AS forwards
  FROM stepped),
known AS (
  SELECT action, object, forwards, max(at_ms - back) OVER (ORDER BY id) + back AS at_ms FROM moved),
sealed AS MATERIALIZED (
  SELECT r.call, max(k.at_ms, r.sealed_ms) AS at_ms, k.forwards
  FROM known k CROSS JOIN recording r ON r.call = k.object
  WHERE k.action = 'recording.seal' AND r.sealed_ms IS NOT NULL),
-- At the same moment what was sealed comes before an outage that ends.
timeline AS (
  SELECT call, at_ms, forwards, 0 AS away FROM sealed
  UNION ALL
  SELECT NULL, to_ms, 0, max(0, to_ms - from_ms) FROM outage WHERE kind = 'service' AND to_ms IS NOT NULL),
counted AS (
  SELECT call, at_ms, forwards, sum(away) OVER (ORDER BY at_ms DESC, call DESC) AS away FROM timeline)
SELECT call, min(0, at_ms - (SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1) + forwards + away)
FROM counted WHERE call IS NOT NULL;

-- 日期存疑: somebody says when these were made at the latest, …
CREATE TABLE dating (
  id      INTEGER PRIMARY KEY,
  made_ms INTEGER NOT NULL,
  reason  TEXT NOT NULL CHECK (reason <> ''),
  person  INTEGER NOT NULL REFERENCES person (id),
  at_ms   INTEGER NOT NULL
) STRICT;
CREATE TABLE dating_item (
  dating INTEGER NOT NULL REFERENCES dating (id),
  call   TEXT NOT NULL REFERENCES recording (call),
  PRIMARY KEY (dating, call)
) STRICT, WITHOUT ROWID;
CREATE INDEX dating_item_by_call ON dating_item (call);

-- … somebody says no, or takes it back, …
CREATE TABLE dating_refusal (
  dating INTEGER PRIMARY KEY REFERENCES dating (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;

-- … or somebody else agrees: their age counts from that date to then, and on by the meter.
CREATE TABLE dating_agreement (
  dating   INTEGER PRIMARY KEY REFERENCES dating (id),
  person   INTEGER NOT NULL REFERENCES person (id),
  at_ms    INTEGER NOT NULL,
  count_ms INTEGER NOT NULL
) STRICT;
CREATE TRIGGER dating_agreement_needs_two BEFORE INSERT ON dating_agreement
WHEN (SELECT d.person <> NEW.person FROM dating d WHERE d.id = NEW.dating) IS NOT 1
BEGIN SELECT RAISE(ABORT, 'recordings are dated by two people'); END;
CREATE TRIGGER dating_agreement_is_not_refused BEFORE INSERT ON dating_agreement
WHEN EXISTS (SELECT 1 FROM dating_refusal r WHERE r.dating = NEW.dating)
BEGIN SELECT RAISE(ABORT, 'what was refused is not agreed to'); END;
CREATE TRIGGER dating_refusal_is_in_time BEFORE INSERT ON dating_refusal
WHEN EXISTS (SELECT 1 FROM dating_agreement a WHERE a.dating = NEW.dating)
BEGIN SELECT RAISE(ABORT, 'what was agreed to is not refused'); END;
CREATE TRIGGER dating_is_not_changed BEFORE UPDATE ON dating
BEGIN SELECT RAISE(ABORT, 'dates are never changed'); END;
CREATE TRIGGER dating_is_kept BEFORE DELETE ON dating
BEGIN SELECT RAISE(ABORT, 'dates are never deleted'); END;
CREATE TRIGGER dating_item_is_not_changed BEFORE UPDATE ON dating_item
BEGIN SELECT RAISE(ABORT, 'dates are never changed'); END;
CREATE TRIGGER dating_item_is_kept BEFORE DELETE ON dating_item
BEGIN SELECT RAISE(ABORT, 'dates are never deleted'); END;
CREATE TRIGGER dating_refusal_is_not_changed BEFORE UPDATE ON dating_refusal
BEGIN SELECT RAISE(ABORT, 'refusals are never changed'); END;
CREATE TRIGGER dating_refusal_is_kept BEFORE DELETE ON dating_refusal
BEGIN SELECT RAISE(ABORT, 'refusals are never deleted'); END;
CREATE TRIGGER dating_agreement_is_not_changed BEFORE UPDATE ON dating_agreement
BEGIN SELECT RAISE(ABORT, 'agreements are never changed'); END;
CREATE TRIGGER dating_agreement_is_kept BEFORE DELETE ON dating_agreement
BEGIN SELECT RAISE(ABORT, 'agreements are never deleted'); END;

-- Held when its removal had begun: that list removes no more of it, whatever becomes of the hold. The rest is kept until it
-- is on another list, unless all of it is there still or all of it is gone.
CREATE TABLE halted (
  call  TEXT NOT NULL,
  list  INTEGER NOT NULL,
  hold  INTEGER NOT NULL REFERENCES hold (id),
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (call, list),
  FOREIGN KEY (call, list) REFERENCES destroyed (call, list)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER halted_is_not_changed BEFORE UPDATE ON halted
BEGIN SELECT RAISE(ABORT, 'what was halted stays so'); END;
CREATE TRIGGER halted_is_kept BEFORE DELETE ON halted
BEGIN SELECT RAISE(ABORT, 'what was halted stays so'); END;

-- By which its files may go: the newest list that gave it up, unless that was halted or it is gone.
CREATE VIEW under_removal AS
SELECT d.call, d.list FROM given_up d
WHERE NOT EXISTS (SELECT 1 FROM gone g WHERE g.call = d.call)
  AND NOT EXISTS (SELECT 1 FROM halted h WHERE h.call = d.call AND h.list = d.list);
DROP TRIGGER destroyed_is_once;
CREATE TRIGGER destroyed_is_once BEFORE INSERT ON destroyed
WHEN EXISTS (SELECT 1 FROM gone g WHERE g.call = NEW.call)
  OR EXISTS (SELECT 1 FROM under_removal u WHERE u.call = NEW.call)
BEGIN SELECT RAISE(ABORT, 'what is destroyed stays so'); END;

-- A removal of before `going` may have begun without a note: it counts as begun, and `noted` says that nobody knows.
ALTER TABLE going ADD COLUMN noted INTEGER NOT NULL DEFAULT 1;
INSERT INTO going (call, list, at_ms, noted)
  SELECT d.call, d.list, d.at_ms, 0 FROM given_up d
  WHERE NOT EXISTS (SELECT 1 FROM gone g WHERE g.call = d.call)
    AND NOT EXISTS (SELECT 1 FROM going b WHERE b.call = d.call AND b.list = d.list);

-- 第二份作废: the copies that were counted are on a place that will not come back, …
CREATE TABLE copies_loss (
  id     INTEGER PRIMARY KEY,
  -- how many there were
  copies INTEGER NOT NULL,
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;
CREATE TABLE copies_loss_refusal (
  loss   INTEGER PRIMARY KEY REFERENCES copies_loss (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;
-- … and somebody else agrees: from then on none of them counts, and each is made anew.
CREATE TABLE copies_loss_agreement (
  loss   INTEGER PRIMARY KEY REFERENCES copies_loss (id),
  person INTEGER NOT NULL REFERENCES person (id),
  at_ms  INTEGER NOT NULL
) STRICT;
CREATE TRIGGER copies_loss_agreement_needs_two BEFORE INSERT ON copies_loss_agreement
WHEN (SELECT l.person <> NEW.person FROM copies_loss l WHERE l.id = NEW.loss) IS NOT 1
BEGIN SELECT RAISE(ABORT, 'copies are given up by two people'); END;
CREATE TRIGGER copies_loss_agreement_is_not_refused BEFORE INSERT ON copies_loss_agreement
WHEN EXISTS (SELECT 1 FROM copies_loss_refusal r WHERE r.loss = NEW.loss)
BEGIN SELECT RAISE(ABORT, 'what was refused is not agreed to'); END;
CREATE TRIGGER copies_loss_refusal_is_in_time BEFORE INSERT ON copies_loss_refusal
WHEN EXISTS (SELECT 1 FROM copies_loss_agreement a WHERE a.loss = NEW.loss)
BEGIN SELECT RAISE(ABORT, 'what was agreed to is not refused'); END;
CREATE TRIGGER copies_loss_is_not_changed BEFORE UPDATE ON copies_loss
BEGIN SELECT RAISE(ABORT, 'losses are never changed'); END;
CREATE TRIGGER copies_loss_is_kept BEFORE DELETE ON copies_loss
BEGIN SELECT RAISE(ABORT, 'losses are never deleted'); END;
CREATE TRIGGER copies_loss_refusal_is_not_changed BEFORE UPDATE ON copies_loss_refusal
BEGIN SELECT RAISE(ABORT, 'refusals are never changed'); END;
CREATE TRIGGER copies_loss_refusal_is_kept BEFORE DELETE ON copies_loss_refusal
BEGIN SELECT RAISE(ABORT, 'refusals are never deleted'); END;
CREATE TRIGGER copies_loss_agreement_is_not_changed BEFORE UPDATE ON copies_loss_agreement
BEGIN SELECT RAISE(ABORT, 'agreements are never changed'); END;
CREATE TRIGGER copies_loss_agreement_is_kept BEFORE DELETE ON copies_loss_agreement
BEGIN SELECT RAISE(ABORT, 'agreements are never deleted'); END;

-- After which loss it was made; 0: before the first. It counts when none came later.
ALTER TABLE copy ADD COLUMN loss INTEGER NOT NULL DEFAULT 0;
DROP TRIGGER copy_is_not_changed;
CREATE TRIGGER copy_is_only_made_anew BEFORE UPDATE ON copy
WHEN NEW.call <> old.call OR NEW.kind <> old.kind OR NEW.loss <= old.loss
BEGIN SELECT RAISE(ABORT, 'copies are never changed'); END;
CREATE VIEW counted_copy AS
SELECT c.call, c.kind FROM copy c
WHERE c.loss = (SELECT coalesce(max(a.loss), 0) FROM copies_loss_agreement a);
