-- from: L2020
-- who: a company's dashboard
-- parameters: company
-- index: idx_calls_company_id

-- Lines that were hard to understand.
SELECT
  ct.call_id,
  ct.content,
  ct.confidence,
  c.company_id
FROM chatapp.call_transcripts ct
JOIN chatapp.calls c ON ct.call_id = c.id
WHERE ct.confidence < 0.70
  AND c.company_id = $1::uuid
  AND c.deleted_at IS NULL
ORDER BY ct.confidence ASC, ct.created_at DESC
LIMIT 50
