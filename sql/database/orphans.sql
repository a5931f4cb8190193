-- Sessions that still do an earlier callctl's work on this schema: they hold its work lock or work beside it, or are called so and have
-- something open. The name alone does not count while another schema of this database is being migrated: it may be that one's.
-- Only the first word of a query: the rest may hold a customer's data. %(lock)s, %(work)s, %(batch)s, %(schema)s
WITH held AS (
  SELECT l.pid, l.classid::bigint AS classid, l.objid::bigint = hashtext(%(schema)s)::bigint & 4294967295 AS ours
  FROM pg_locks AS l
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT a.pid, a.application_name IN ('callctl migrate', 'callctl rotate', 'callctl operate') AS is_callctl,
       coalesce(a.state, 'unknown') AS state,
       upper(coalesce(substring(a.query FROM '^\s*(\w+)'), '')) AS word,
       date_trunc('second', clock_timestamp() - coalesce(a.xact_start, a.query_start, a.backend_start))::text AS age
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND (EXISTS (SELECT FROM held AS h WHERE h.pid = a.pid AND h.classid IN (%(work)s, %(batch)s) AND h.ours)
       OR (a.application_name = 'callctl migrate' AND a.state <> 'idle'
           AND NOT EXISTS (SELECT FROM held AS h WHERE h.classid = %(lock)s AND NOT h.ours)))
ORDER BY a.pid
