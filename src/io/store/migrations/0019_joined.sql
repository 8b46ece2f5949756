-- Several matters for one leader share a call: it has its name from this attempt.
ALTER TABLE attempt ADD COLUMN joined TEXT;
CREATE INDEX attempt_by_joined ON attempt (joined) WHERE joined IS NOT NULL;
