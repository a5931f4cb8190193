-- Every step taken, oldest first.
SELECT id, step, direction, file, sha256, started_at, finished_at, database_role, client, callctl_version, adopted
FROM callctl.history ORDER BY id
