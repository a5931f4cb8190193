-- steps: 10
-- means: nothing, if calls may fail after they were answered; the document says they do not
-- mends: settle with the application's developers what the status of a call is that breaks off

-- L1444: only a pending call fails. A real one may break off, so that this is a warning.
-- check (warns): calls-failed-unanswered: a call that failed was never answered
SELECT c.id AS call, c.answered_at, c.error_code
FROM chatapp.calls AS c
WHERE c.status = 'failed' AND c.answered_at IS NOT NULL;
