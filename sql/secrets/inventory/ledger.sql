-- The rotation that is under way, and the last one that is done.
(SELECT id, to_key, started_at, finished_at, database_role, client, failures
 FROM callctl.rotation WHERE kind = 'credentials' AND finished_at IS NULL)
UNION ALL
(SELECT id, to_key, started_at, finished_at, database_role, client, failures
 FROM callctl.rotation WHERE kind = 'credentials' AND outcome = 'done' ORDER BY id DESC LIMIT 1)
