-- steps: 11
-- means: lines of a transcript stand in the wrong order, or talk time is counted wrongly
-- mends: no command of callctl: correct the line; the CHECK that should have refused it is reported as well

-- check: transcripts-timed: every line of a transcript says something, ends after it begins, and lasts the time between
SELECT t.id AS transcript, t.call_id, t.start_time, t.end_time, t.duration
FROM chatapp.call_transcripts AS t
WHERE t.end_time <= t.start_time OR t.duration <> t.end_time - t.start_time OR t.content = '';
