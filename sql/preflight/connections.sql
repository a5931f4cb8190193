-- finding: connections
-- direction: both
-- ok: the role, the database and the server allow as many connections as a migration opens
-- why: a migration works on one connection and holds its lock on another; without both it does not begin, and up to
--      batch_workers sessions write long lists
-- do: raise the named limit, or close idle sessions

SELECT
    CASE WHEN q.most - q.others < 2 THEN 'blocks' ELSE 'warns' END AS level,
    format('the CONNECTION LIMIT of role %s is %s, its other sessions: %s; callctl migrate opens up to %s connections', q.name, q.most,
           q.others, q.sessions) AS what,
    q.name AS object,
    format('ALTER ROLE %I CONNECTION LIMIT %s;', q.name, q.others + q.sessions) AS fix
FROM (
    SELECT
        r.rolname::text AS name, r.rolconnlimit AS most, current_setting('callctl.sessions')::integer AS sessions,
        (SELECT count(*) FROM pg_catalog.pg_stat_activity AS s
         WHERE s.usesysid = r.oid AND coalesce(s.backend_type, 'client backend') IN ('client backend', 'walsender')
           AND s.pid <> pg_backend_pid() AND s.application_name NOT IN ('callctl lock', 'callctl migrate')) AS others
    FROM pg_catalog.pg_roles AS r
    WHERE r.rolname = session_user AND NOT r.rolsuper AND r.rolconnlimit >= 0
) AS q
WHERE q.most - q.others < q.sessions;

SELECT
    CASE WHEN q.most - q.others < 2 THEN 'blocks' ELSE 'warns' END AS level,
    format('the CONNECTION LIMIT of database %s is %s, its other sessions: %s; callctl migrate opens up to %s connections', q.name,
           q.most, q.others, q.sessions) AS what,
    q.name AS object,
    format('ALTER DATABASE %I CONNECTION LIMIT %s;', q.name, q.others + q.sessions) AS fix
FROM (
    SELECT
        d.datname::text AS name, d.datconnlimit AS most, current_setting('callctl.sessions')::integer AS sessions,
        (SELECT count(*) FROM pg_catalog.pg_stat_activity AS s
         WHERE s.datid = d.oid AND coalesce(s.backend_type, 'client backend') IN ('client backend', 'walsender')
           AND s.pid <> pg_backend_pid() AND s.application_name NOT IN ('callctl lock', 'callctl migrate')) AS others
    FROM pg_catalog.pg_database AS d
    JOIN pg_catalog.pg_roles AS r ON r.rolname = session_user AND NOT r.rolsuper
    WHERE d.datname = current_database() AND d.datconnlimit >= 0
) AS q
WHERE q.most - q.others < q.sessions;

-- The server keeps some of its connections for superusers, from version 16 on also for pg_use_reserved_connections.
SELECT
    CASE WHEN q.most - q.others < 2 THEN 'blocks' ELSE 'warns' END AS level,
    format('max_connections leaves role %s %s connections, other sessions: %s; callctl migrate opens up to %s connections', q.name,
           q.most, q.others, q.sessions) AS what,
    'max_connections' AS object,
    format('close idle sessions of the application, or ALTER SYSTEM SET max_connections = %s; and restart the server',
           current_setting('max_connections')::integer + q.sessions - q.most + q.others) AS fix
FROM (
    SELECT
        r.rolname::text AS name, current_setting('callctl.sessions')::integer AS sessions,
        current_setting('max_connections')::integer
            - CASE WHEN r.rolsuper THEN 0
                   ELSE current_setting('superuser_reserved_connections')::integer
                        + coalesce(current_setting('reserved_connections', true)::integer, 0) END AS most,
        (SELECT count(*) FROM pg_catalog.pg_stat_activity AS s
         WHERE s.datid IS NOT NULL AND s.usesysid IS NOT NULL AND coalesce(s.backend_type, 'client backend') = 'client backend'
           AND s.pid <> pg_backend_pid() AND s.application_name NOT IN ('callctl lock', 'callctl migrate')) AS others
    FROM pg_catalog.pg_roles AS r
    WHERE r.rolname = session_user
) AS q
WHERE q.most - q.others < q.sessions;
