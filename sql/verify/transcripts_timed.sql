-- steps: 11
-- means: lines of a transcript are in the wrong order, or talk time is counted wrongly
-- fix: no command of callctl: correct the line; verify also reports the CHECK that should have refused it

-- check: transcripts-timed: every line of a transcript has text, ends after it begins, and its duration is the time between
SELECT t.id AS transcript, t.call_id, t.start_time, t.end_time, t.duration
FROM chatapp.call_transcripts AS t
WHERE t.end_time <= t.start_time OR t.duration <> t.end_time - t.start_time OR t.content = '';
