-- The rotation under way: rows done of those there were, the values that do not open, and the seconds since its start.
SELECT coalesce(sum(g.rows_done), 0)::bigint AS done, coalesce(sum(g.row_count), 0)::bigint AS total,
       coalesce(sum(g.failures), 0)::bigint AS failures,
       extract(epoch FROM clock_timestamp() - r.started_at)::float8 AS seconds
FROM callctl.rotation AS r LEFT JOIN callctl.rotation_range AS g ON g.rotation = r.id
WHERE r.finished_at IS NULL AND r.kind = 'credentials'
GROUP BY r.id
ORDER BY r.id DESC
LIMIT 1
