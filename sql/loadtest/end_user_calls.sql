-- from: L1604
-- who: a company's dashboard
-- parameters: company, end_user
-- index: idx_calls_end_user_id

-- What a customer has called about before.
SELECT id, status, duration, summary, created_at
FROM chatapp.calls
WHERE company_id = $1::uuid
  AND end_user_id = $2::uuid
  AND deleted_at IS NULL
ORDER BY created_at DESC
LIMIT 20
