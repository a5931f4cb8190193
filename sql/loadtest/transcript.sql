-- from: L1992, L3415
-- who: a company's dashboard
-- parameters: call
-- index: idx_call_transcripts_call_id, idx_call_transcripts_role

-- A call's transcript.
SELECT
  id,
  role,
  content,
  start_time,
  end_time,
  duration,
  confidence
FROM chatapp.call_transcripts
WHERE call_id = $1::uuid
ORDER BY start_time ASC
