-- from: L1973
-- who: a company's dashboard
-- parameters: word, company
-- index: idx_call_transcripts_content_search, idx_calls_company_id

-- Calls in which the customer said a word.
SELECT
  ct.call_id,
  ct.content,
  ct.start_time,
  c.company_id,
  c.chatbot_id
FROM chatapp.call_transcripts ct
JOIN chatapp.calls c ON ct.call_id = c.id
WHERE to_tsvector('english', ct.content) @@ to_tsquery('english', $1)
  AND ct.role = 'user'
  AND c.company_id = $2::uuid
  AND c.deleted_at IS NULL
ORDER BY ct.created_at DESC
LIMIT 100
