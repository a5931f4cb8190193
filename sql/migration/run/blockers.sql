-- Who holds a lock on one of these tables. Only the first word of a query: the rest may hold a customer's data.
-- %(schema)s, %(tables)s
SELECT l.pid, coalesce(nullif(s.application_name, ''), s.usename::text, 'unknown'),
       coalesce(s.state, s.backend_type, 'unknown'),
       coalesce(date_trunc('second', clock_timestamp() - s.xact_start)::text, 'unknown'),
       upper(coalesce(substring(s.query FROM '^\s*(\w+)'), '')), string_agg(DISTINCT l.mode, ', ')
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity AS s ON s.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
  AND coalesce(s.application_name, '') NOT LIKE 'callctl%%'
GROUP BY l.pid, 2, 3, 4, 5, s.xact_start
ORDER BY s.xact_start
LIMIT 5
