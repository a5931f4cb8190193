-- from: L1967
-- who: a company's dashboard
-- parameters: call
-- index: idx_call_transcripts_role, idx_call_transcripts_call_id

-- What the customer said in a call.
SELECT content, start_time, confidence
FROM chatapp.call_transcripts
WHERE call_id = $1::uuid
  AND role = 'user'
ORDER BY start_time ASC
