-- from: L2007
-- who: a company's dashboard
-- parameters: call
-- index: idx_call_transcripts_call_id, idx_call_transcripts_role

-- Who talked for how long in a call.
SELECT
  call_id,
  SUM(CASE WHEN role = 'user' THEN duration ELSE 0 END) as user_talk_time_ms,
  SUM(CASE WHEN role = 'assistant' THEN duration ELSE 0 END) as assistant_talk_time_ms,
  COUNT(CASE WHEN role = 'user' THEN 1 END) as user_utterances,
  COUNT(CASE WHEN role = 'assistant' THEN 1 END) as assistant_utterances
FROM chatapp.call_transcripts
WHERE call_id = $1::uuid
GROUP BY call_id
