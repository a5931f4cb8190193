-- A rotation that no process works at any more, given up for another one. %(rotation)s
WITH gone AS (DELETE FROM callctl.rotation_range WHERE rotation = %(rotation)s RETURNING counts, failures)
UPDATE callctl.rotation SET finished_at = clock_timestamp(), outcome = 'given up',
  failures = (SELECT coalesce(sum(g.failures), 0) FROM gone AS g)
WHERE id = %(rotation)s AND finished_at IS NULL
