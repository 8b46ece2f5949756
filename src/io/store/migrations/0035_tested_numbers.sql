-- Which duty number a self-test called; empty: the line's own.
ALTER TABLE self_test ADD COLUMN number TEXT NOT NULL DEFAULT '';
DROP INDEX self_test_by_time;
CREATE INDEX self_test_by_number ON self_test (number, at_ms);
