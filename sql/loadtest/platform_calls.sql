-- from: L1630
-- who: the platform's administrators
-- parameters: none
-- load: no
-- scans: every call of every company is its answer

-- All calls across the platform. It reads what is other tenants', and as much as there is: the load test leaves it out.
SELECT
  c.id,
  c.company_id,
  comp.name as company_name,
  c.status,
  c.duration
FROM chatapp.calls c
JOIN chatapp.companies comp ON c.company_id = comp.id
WHERE c.deleted_at IS NULL
ORDER BY c.created_at DESC
