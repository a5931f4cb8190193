-- steps: 10
-- means: nothing, if calls can fail after they were answered; the specification says that they do not
-- fix: ask the application's developers for the status of an interrupted call

-- L1444: only a pending call fails. A real call may be interrupted, so this is a warning.
-- check (warns): calls-failed-unanswered: a call that failed was never answered
SELECT c.id AS call, c.answered_at, c.error_code
FROM chatapp.calls AS c
WHERE c.status = 'failed' AND c.answered_at IS NOT NULL;
