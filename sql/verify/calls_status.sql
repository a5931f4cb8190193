-- steps: 10
-- means: the call history and its numbers are wrong: they show a call as running, answered or ended that is not
-- fix: no command of callctl: UPDATE the call's status or its times from the provider's record

-- The transitions of L1443-1447, and the times of L1573-1589, as far as one row shows them.
-- check: calls-status: a call's times match its status: none before it is answered, no end while it runs, all when completed
SELECT c.id AS call, c.status, c.started_at, c.answered_at, c.ended_at
FROM chatapp.calls AS c
WHERE CASE c.status
  WHEN 'completed' THEN c.answered_at IS NULL OR c.ended_at IS NULL
  WHEN 'in_progress' THEN c.answered_at IS NULL OR c.ended_at IS NOT NULL
  WHEN 'pending' THEN c.answered_at IS NOT NULL OR c.ended_at IS NOT NULL
  WHEN 'ringing' THEN c.answered_at IS NOT NULL OR c.ended_at IS NOT NULL
  WHEN 'failed' THEN false
  ELSE c.answered_at IS NOT NULL END;
