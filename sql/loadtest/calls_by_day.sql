-- from: L1608
-- who: a company's dashboard
-- parameters: company
-- index: idx_calls_date_range

-- Calls and minutes of the last thirty days.
SELECT date_trunc('day', started_at) AS day, count(*) AS calls, sum(duration) AS seconds
FROM chatapp.calls
WHERE company_id = $1::uuid
  AND started_at >= now() - interval '30 days'
  AND deleted_at IS NULL
GROUP BY 1
ORDER BY 1
