-- from: L1405-1410, L1606
-- who: a webhook
-- parameters: call_sid
-- index: idx_calls_call_sid, calls_call_sid_key

-- A webhook looks up its call by the provider's identifier; it knows no company yet.
SELECT id, company_id, chatbot_id, status
FROM chatapp.calls
WHERE call_sid = $1
  AND deleted_at IS NULL
