-- Which sessions have the ranges of a rotation that are not done: number, where from and as whom, since when it is connected,
-- and for how long the server has heard nothing of it, in seconds (NULL while a statement runs). %(classid)s, %(rotation)s
SELECT DISTINCT a.pid, coalesce(a.client_addr::text, 'local'), a.usename, a.backend_start,
       CASE WHEN a.state LIKE 'idle%%' THEN extract(epoch FROM clock_timestamp() - a.state_change)::float8 END
FROM callctl.rotation_range AS r
JOIN pg_locks AS l ON l.objid::bigint = r.id AND l.classid::bigint = %(classid)s
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE r.rotation = %(rotation)s AND r.finished_at IS NULL
  AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY a.pid
