-- from: L1397-1402, L1605
-- who: a company's dashboard
-- parameters: company, conversation
-- index: idx_calls_conversation_id

-- The calls into which a conversation continued.
SELECT id, status, duration, summary, created_at
FROM chatapp.calls
WHERE company_id = $1::uuid
  AND conversation_id = $2::uuid
  AND deleted_at IS NULL
ORDER BY created_at
LIMIT 20
