-- Who holds callctl's migration lock on this schema, and the number under which each says what it is doing. What PostgreSQL hides of
-- another role's session is NULL; seen is false then. %(lock)s, %(doing)s, %(schema)s
WITH held AS (
  SELECT l.pid, l.classid::bigint AS classid, l.objid::bigint AS number
  FROM pg_locks AS l
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT DISTINCT ON (h.pid) h.pid, d.number AS doing, a.usename::text AS role, a.application_name AS application,
       CASE WHEN a.backend_start IS NOT NULL THEN coalesce(host(a.client_addr), 'local') END AS host,
       a.backend_start AS since,
       extract(epoch FROM clock_timestamp() - a.backend_start)::float AS seconds,
       extract(epoch FROM clock_timestamp() - a.state_change)::float AS silent,
       a.backend_start IS NOT NULL AS seen
FROM held AS h
LEFT JOIN held AS d ON d.pid = h.pid AND d.classid = %(doing)s
LEFT JOIN pg_stat_activity AS a ON a.pid = h.pid
WHERE h.classid = %(lock)s AND h.number = hashtext(%(schema)s)::bigint & 4294967295
ORDER BY h.pid, d.number
