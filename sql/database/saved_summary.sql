-- What purge would delete: one row for each kind of saved thing. While step 13 is applied, a saved row that is not superseded waits
-- for step 6, and stays.
SELECT 'saved value' AS kind, relation || '.' || field AS name, count(*) AS rows, count(superseded_at) AS superseded
FROM callctl.saved_value GROUP BY relation, field
UNION ALL
SELECT 'saved row', relation, count(*), count(superseded_at) FROM callctl.saved_row
WHERE superseded_at IS NOT NULL
   OR (SELECT h.direction FROM callctl.history AS h WHERE h.step = 13 ORDER BY h.id DESC LIMIT 1) IS DISTINCT FROM 'up'
GROUP BY relation
ORDER BY 1, 2
