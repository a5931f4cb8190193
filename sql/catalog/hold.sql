-- Does this transaction hold a lock on a table that others wait behind? And from here on, a statement of it that would hold
-- it longer than is left ends by itself: the server cancels it even if the client is gone.
-- %(held_ms)s, %(unheld_ms)s: the most that the next statement may take in either case, in milliseconds; 0 is without end
SELECT h.held, set_config('statement_timeout', CASE WHEN h.held THEN %(held_ms)s ELSE %(unheld_ms)s END::text, true)
FROM (
    SELECT EXISTS (
        SELECT FROM pg_locks AS l
        JOIN pg_class AS c ON c.oid = l.relation
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
          AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
          AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('callctl', 'pg_catalog', 'pg_toast')
    ) AS held
) AS h
