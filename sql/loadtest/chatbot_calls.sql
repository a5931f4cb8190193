-- from: L1603
-- who: a company's dashboard
-- parameters: company, chatbot
-- index: idx_calls_chatbot_id

-- How the calls of a chatbot went.
SELECT id, status, duration, call_quality, sentiment_score, created_at
FROM chatapp.calls
WHERE company_id = $1::uuid
  AND chatbot_id = $2::uuid
  AND deleted_at IS NULL
ORDER BY created_at DESC
LIMIT 50
