-- How a phone came into the call: it was rung, the officer handed the call to it, or it took the call.
-- taken_ms to ended_ms is when it spoke with the caller.
ALTER TABLE leg ADD COLUMN how TEXT NOT NULL DEFAULT 'rung'
  CHECK (how IN ('rung', 'transfer', 'pickup'));
