-- steps: 10-11
-- means: a transcript does not match its recording, or belongs to another call
-- fix: no command of callctl: correct the line's times from the provider's transcript

-- Milliseconds from answered_at (L1844); the clocks of provider and application may differ by a second. The time in which a
-- line can be spoken is computed once a call: none before it is answered, without end while it runs.
-- check: transcripts-in-call: every line of a transcript is within its call, and the call was answered
SELECT t.id AS transcript, t.call_id, t.start_time, t.end_time
FROM chatapp.call_transcripts AS t
LEFT JOIN (
  SELECT c.id, CASE WHEN c.answered_at IS NULL THEN '-infinity'
               ELSE COALESCE(date_part('epoch', c.ended_at - c.answered_at) * 1000 + 1000, 'infinity') END AS lasts
  FROM chatapp.calls AS c
) AS spoken ON spoken.id = t.call_id
WHERE t.start_time < 0 OR t.end_time > spoken.lasts;
