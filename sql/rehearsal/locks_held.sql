-- The locks of other sessions on the platform's tables and on those that callctl archives, at this moment. Of tables alone: the
-- lock of a row that is waited for, and that of a table that grows, name the table as well, and no client waits for them as such.
SELECT l.pid, n.nspname::text AS schema, c.relname::text AS name, l.mode
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid AND a.backend_type = 'client backend'
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND (n.nspname = %(schema)s OR (n.nspname = 'callctl' AND c.relname = ANY (%(archived)s::text[])))
