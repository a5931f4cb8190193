-- from: L1609
-- who: a company's dashboard
-- parameters: company, account
-- index: idx_calls_integration_account

-- How the latest calls of an integration account went.
SELECT id, status, error_code, created_at
FROM chatapp.calls
WHERE company_id = $1::uuid
  AND integration_account_id = $2::uuid
  AND deleted_at IS NULL
ORDER BY created_at DESC
LIMIT 50
