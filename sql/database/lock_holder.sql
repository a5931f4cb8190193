-- Who holds an advisory lock of callctl's. Only the first word of a query: the rest may hold a customer's data.
-- Another role's session shows no more than its number. doing: the number under which it says what it is doing.
-- %(classid)s, %(doing)s, %(schema)s
SELECT a.pid, a.application_name, coalesce(a.client_addr::text, 'local') AS address, a.usename AS role,
       date_trunc('second', clock_timestamp() - a.backend_start)::text AS age, coalesce(a.state, 'unknown') AS state,
       upper(coalesce(substring(a.query FROM '^\s*(\w+)'), '')) AS word,
       (SELECT max(d.objid::bigint) FROM pg_locks AS d
        WHERE d.locktype = 'advisory' AND d.granted AND d.objsubid = 2 AND d.pid = l.pid AND d.database = l.database
          AND d.classid::bigint = %(doing)s) AS doing
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = %(classid)s AND l.objid::bigint = hashtext(%(schema)s)::bigint & 4294967295
