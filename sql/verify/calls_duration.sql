-- steps: 10
-- means: a customer is billed for the wrong time
-- fix: no command of callctl: UPDATE the call's duration to the seconds from answered_at to ended_at

-- L1470: in seconds, from answered_at to ended_at. The application may round either way.
-- check: calls-duration: a call's duration is the seconds between answer and end, and only an answered call has one
SELECT c.id AS call, c.answered_at, c.ended_at, c.duration
FROM chatapp.calls AS c
WHERE c.duration < 0
   OR c.duration IS NOT NULL AND c.answered_at IS NULL
   OR abs(c.duration - date_part('epoch', c.ended_at - c.answered_at)) > 1;
