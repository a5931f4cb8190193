-- What purge would delete: one row for each kind of saved thing.
SELECT 'saved value' AS kind, relation || '.' || field AS name, count(*) AS rows, count(superseded_at) AS superseded
FROM callctl.saved_value GROUP BY relation, field
UNION ALL
SELECT 'saved row', relation, count(*), count(superseded_at) FROM callctl.saved_row GROUP BY relation
ORDER BY 1, 2
