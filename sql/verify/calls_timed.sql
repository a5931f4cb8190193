-- steps: 10
-- means: a customer is billed for the wrong time
-- fix: no command of callctl: correct the call's times from the provider's record

-- check: calls-timed: calls are answered after they start and end after they are answered
SELECT c.id AS call, c.started_at, c.answered_at, c.ended_at
FROM chatapp.calls AS c
WHERE c.answered_at < c.started_at OR c.ended_at < COALESCE(c.answered_at, c.started_at);
