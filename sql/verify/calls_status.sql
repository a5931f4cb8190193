-- steps: 10
-- means: the call history and its numbers are wrong: a call shows as running, answered or ended that is not
-- mends: no command of callctl: UPDATE the call's status or its times from the provider's record

-- The transitions of L1443-1447, and what L1573-1589 says of the times, as far as one row can tell.
-- check: calls-status: a call's times are those of its status: none before it is answered, no end while it runs, all when completed
SELECT c.id AS call, c.status, c.started_at, c.answered_at, c.ended_at
FROM chatapp.calls AS c
WHERE CASE c.status
  WHEN 'completed' THEN c.answered_at IS NULL OR c.ended_at IS NULL
  WHEN 'in_progress' THEN c.answered_at IS NULL OR c.ended_at IS NOT NULL
  WHEN 'pending' THEN c.answered_at IS NOT NULL OR c.ended_at IS NOT NULL
  WHEN 'ringing' THEN c.answered_at IS NOT NULL OR c.ended_at IS NOT NULL
  WHEN 'failed' THEN false
  ELSE c.answered_at IS NOT NULL END;
