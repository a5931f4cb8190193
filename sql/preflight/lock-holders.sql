-- finding: lock-holders
-- direction: both
-- ok: no other session holds a lock on the tables to be changed that a step would wait for
-- why: a dump, a vacuum, an index build or a long read holds its lock to the end; a step requests its lock again and
--      again until then, and stops after --lock-wait
-- do: wait until it has finished, or end its session

SELECT
    CASE WHEN bool_or(q.strong OR q.dump OR NOT q.hidden) THEN 'warns' ELSE 'unknown' END AS level,
    format('%s %s (%s) holds %s on %s%s', CASE WHEN bool_or(q.worker) THEN 'autovacuum' ELSE 'session' END, q.pid,
           q.who, string_agg(DISTINCT q.mode, ', '), string_agg(DISTINCT q.relation, ', '),
           CASE WHEN bool_or(q.hidden) THEN '; this role may not see since when'
                ELSE ', in a transaction of ' || max(q.age) END) AS what,
    q.pid::text AS object,
    format('wait until it has finished, or end it: SELECT pg_terminate_backend(%s);', q.pid) AS fix
FROM (
    SELECT
        l.pid, l.mode, c.oid::regclass::text AS relation,
        coalesce(nullif(s.application_name, ''), s.usename::text, 'no application name') AS who,
        coalesce(date_trunc('second', clock_timestamp() - s.xact_start)::text, 'unknown age') AS age,
        coalesce(s.query = '<insufficient privilege>', false) AS hidden,
        coalesce(s.backend_type = 'autovacuum worker', false) AS worker,
        coalesce(s.application_name LIKE 'pg_dump%', false) AS dump,
        l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') AS strong,
        s.xact_start
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    LEFT JOIN pg_catalog.pg_stat_activity AS s ON s.pid = l.pid
    WHERE l.locktype = 'relation'
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
      AND l.pid <> pg_backend_pid()
      AND coalesce(s.application_name, '') NOT LIKE 'callctl%'
      AND l.granted
      AND c.relnamespace = 'chatapp'::regnamespace
      AND c.relname IN ('users', 'chatbot_packages', 'chatbots', 'ai_models', 'companies', 'end_users', 'conversations',
                    'integration_accounts', 'calls', 'call_transcripts')
) AS q
WHERE q.strong OR q.dump OR q.hidden OR q.xact_start < clock_timestamp() - interval '5 seconds'
GROUP BY q.pid, q.who;
