-- finding: standby
-- direction: both
-- ok: the server is a primary
-- why: a standby accepts no writes, so no step can run there
-- do: connect to the primary (name its host in --database) and run preflight again

SELECT 'blocks' AS level, 'the server is a standby (it is in recovery)' AS what
WHERE pg_is_in_recovery();
