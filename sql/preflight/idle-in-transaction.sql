-- finding: idle-in-transaction
-- direction: both
-- ok: no session is idle in a transaction
-- why: an idle transaction keeps the locks of everything it has read or written until its application
--      ends it
-- do: find the application and end the session; idle_in_transaction_session_timeout prevents it in future

SELECT
    'warns' AS level,
    format('session %s (%s, %s) has been %s for %s', s.pid,
           coalesce(nullif(s.application_name, ''), 'no application name'), coalesce(s.usename::text, 'no role'),
           s.state, date_trunc('second', clock_timestamp() - s.state_change)) AS what,
    s.pid::text AS object,
    format('SELECT pg_terminate_backend(%s);', s.pid) AS fix
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database()
  AND s.pid <> pg_backend_pid()
  AND s.state LIKE 'idle in transaction%'
  AND s.state_change < clock_timestamp() - interval '5 seconds'
ORDER BY s.state_change;

SELECT
    'unknown' AS level,
    format('role %s may not see what %s other sessions are doing', current_user, count(*)) AS what,
    NULL AS object,
    format('GRANT pg_read_all_stats TO %I; as a superuser, then run preflight again', current_user) AS fix
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database() AND s.pid <> pg_backend_pid() AND s.query = '<insufficient privilege>'
HAVING count(*) > 0;
