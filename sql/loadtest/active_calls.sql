-- from: L1607
-- who: a company's dashboard
-- parameters: company
-- index: idx_calls_status

-- How many calls are under way.
SELECT status, count(*) AS calls
FROM chatapp.calls
WHERE company_id = $1::uuid
  AND status IN ('pending', 'ringing', 'in_progress')
  AND deleted_at IS NULL
GROUP BY status
