-- from: L1617
-- who: a company's dashboard
-- parameters: company
-- index: idx_calls_company_id

-- All calls of a company, newest first; the document sets no limit.
SELECT * FROM chatapp.calls
WHERE company_id = $1::uuid
  AND deleted_at IS NULL
ORDER BY created_at DESC
