-- finding: long-transactions
-- direction: both
-- ok: no transaction is older than a minute
-- why: a step's lock request waits for it, every other query of the table waits for the lock
--      request, and an index built concurrently waits for it to end
-- do: wait until it has finished, or end its session

SELECT
    'warns' AS level,
    format('session %s (%s, %s) has had a transaction open for %s: state %s, last command %s', s.pid,
           coalesce(nullif(s.application_name, ''), 'no application name'), coalesce(s.usename::text, 'no role'),
           date_trunc('second', clock_timestamp() - s.xact_start), coalesce(s.state, 'unknown'),
           coalesce(upper(substring(s.query FROM '^\s*([A-Za-z]+)')), 'not known')) AS what,
    s.pid::text AS object,
    format('wait until it has finished, or end it: SELECT pg_terminate_backend(%s);', s.pid) AS fix
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database()
  AND s.pid <> pg_backend_pid()
  AND s.xact_start < clock_timestamp() - interval '60 seconds'
ORDER BY s.xact_start;

SELECT
    'unknown' AS level,
    format('role %s may not see what %s other sessions are doing', current_user, count(*)) AS what,
    NULL AS object,
    format('GRANT pg_read_all_stats TO %I; as a superuser, then run preflight again', current_user) AS fix
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database() AND s.pid <> pg_backend_pid() AND s.query = '<insufficient privilege>'
HAVING count(*) > 0;
