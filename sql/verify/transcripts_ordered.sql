-- steps: 11
-- means: the two lines are shown in either order, or one of them twice
-- mends: no command of callctl: delete the line that came twice, or correct its times from the provider's transcript

-- A transcript is read by start_time alone (L1852, L2004); created_at says when a line was saved, not when it was spoken
-- (L1961). What rows can tell is that the order is one: a speaker does not begin two lines at once. Two speakers, and two
-- events of the system, may. The index on (call_id, start_time) has the answer in order, so that nothing is sorted; the lines
-- themselves are looked up only where two begin at once. Calls' ids are random: a third of them each, so that three processes
-- can read at once what one would have to read in order.
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
