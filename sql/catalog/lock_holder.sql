-- Who holds the migration lock. %(classid)s, %(objid)s
SELECT a.pid, a.application_name, coalesce(a.client_addr::text, 'local'), a.usename, now() - a.backend_start
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = %(classid)s AND l.objid::bigint = %(objid)s
