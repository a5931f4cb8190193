-- from: L3408
-- who: a company's dashboard
-- parameters: company
-- index: idx_calls_company_id

-- The first page of them.
SELECT * FROM chatapp.calls
WHERE company_id = $1::uuid
  AND deleted_at IS NULL
ORDER BY created_at DESC
LIMIT 20
