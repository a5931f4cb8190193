-- parameters: none

-- Companies of load tests that are not removed yet, and whether the row with that id is still the one that was made.
SELECT t.company_id::text, t.started_at, t.client, c.id IS NOT NULL AS there, c.slug IS NOT DISTINCT FROM t.slug AS ours
FROM callctl.load_test AS t
LEFT JOIN chatapp.companies AS c ON c.id = t.company_id
ORDER BY t.started_at, t.company_id
