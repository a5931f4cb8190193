-- The ledger's row of one rotation. %(rotation)s
SELECT id, to_key, binding, started_at, finished_at, client, counts, failures
FROM callctl.rotation WHERE id = %(rotation)s
