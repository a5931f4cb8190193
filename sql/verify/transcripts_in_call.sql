-- steps: 10-11
-- means: a transcript runs beside its recording, or belongs to another call
-- mends: no command of callctl: correct the line's times from the provider's transcript

-- Milliseconds from answered_at (L1844); the clocks of provider and application may differ by a second.
-- check: transcripts-in-call: every line of a transcript is within its call, which was answered
SELECT t.id AS transcript, t.call_id, t.start_time, t.end_time
FROM chatapp.call_transcripts AS t
LEFT JOIN chatapp.calls AS c ON c.id = t.call_id
WHERE t.start_time < 0 OR c.answered_at IS NULL
   OR t.end_time > date_part('epoch', c.ended_at - c.answered_at) * 1000 + 1000;
