-- steps: 11
-- means: the application shows the two lines in either order, or one of them twice
-- fix: no command of callctl: delete the repeated line, or correct its times from the provider's transcript

-- A transcript is ordered by start_time alone (L1852, L2004); created_at is the time when a line was saved, not when it was spoken
-- (L1961). The rows can only show that the order is unique: a speaker does not begin two lines at once. Two speakers, and two
-- events of the system, may. The index on (call_id, start_time) returns the lines in order, so that no sort is needed; the lines
-- themselves are looked up only if two begin at once. The ids of calls are random: each query takes a third of them, so that three
-- processes can read at the same time.
-- check: transcripts-ordered: no two lines of one speaker begin at the same moment of a call
WITH at_once AS MATERIALIZED (
  SELECT t.call_id, t.start_time, count(*) AS lines FROM chatapp.call_transcripts AS t
  WHERE t.call_id < '55555555-5555-5555-5555-555555555555'
  GROUP BY t.call_id, t.start_time HAVING count(*) > 1
  UNION ALL
  SELECT t.call_id, t.start_time, count(*) FROM chatapp.call_transcripts AS t
  WHERE t.call_id >= '55555555-5555-5555-5555-555555555555' AND t.call_id < 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'
  GROUP BY t.call_id, t.start_time HAVING count(*) > 1
  UNION ALL
  SELECT t.call_id, t.start_time, count(*) FROM chatapp.call_transcripts AS t
  WHERE t.call_id >= 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'
  GROUP BY t.call_id, t.start_time HAVING count(*) > 1
)
SELECT o.call_id, o.start_time, o.lines FROM at_once AS o
WHERE (SELECT count(*) > count(DISTINCT s.role) FROM chatapp.call_transcripts AS s
       WHERE s.call_id = o.call_id AND s.start_time = o.start_time AND s.role <> 'system');
