-- The sessions that work on this schema: they hold its work lock, or write batches beside the one that does. What each is at, what
-- it waits for, and who holds that. Only the first word of a query: the rest may hold a customer's data. What PostgreSQL hides of
-- another role's session is NULL; seen is false then. %(work)s, %(batch)s, %(schema)s
SELECT DISTINCT ON (l.pid) l.pid, a.application_name AS application, a.state,
       upper(substring(a.query FROM '^\s*(\w+)')) AS word,
       extract(epoch FROM clock_timestamp() - a.state_change)::float AS seconds,
       a.wait_event, wanted.kind AS wanted, wanted.relation, coalesce(held.by, '[]') AS held_by,
       building.phase, building.done, building.total,
       a.backend_start IS NOT NULL AS seen
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN LATERAL (
  SELECT w.locktype AS kind, w.relation::regclass::text AS relation
  FROM pg_locks AS w WHERE w.pid = l.pid AND NOT w.granted LIMIT 1
) AS wanted ON true
LEFT JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_array(
           b.pid, coalesce(nullif(s.application_name, ''), s.usename::text, 'unknown'),
           coalesce(s.state, s.backend_type, 'state not visible'),
           coalesce(date_trunc('second', clock_timestamp() - s.xact_start)::text, 'unknown')) ORDER BY b.pid) AS by
  FROM (SELECT DISTINCT unnest(pg_blocking_pids(l.pid)) AS pid) AS b
  LEFT JOIN pg_stat_activity AS s ON s.pid = b.pid
) AS held ON wanted.kind IS NOT NULL
LEFT JOIN LATERAL (
  SELECT p.phase, greatest(p.blocks_done, p.tuples_done) AS done, greatest(p.blocks_total, p.tuples_total) AS total
  FROM pg_stat_progress_create_index AS p WHERE p.pid = l.pid AND p.phase IS NOT NULL
) AS building ON true
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint IN (%(work)s, %(batch)s) AND l.objid::bigint = hashtext(%(schema)s)::bigint & 4294967295
ORDER BY l.pid
