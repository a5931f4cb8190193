-- finding: session-settings
-- direction: both
-- ok: no setting of this role or database disturbs the steps
-- why: if session_replication_role is not origin, no trigger fires, so the type and the flags of a chatbot
--      would contradict each other; a server that shortens names more would give two indexes one name
-- do: set it for the role that migrates in this database, and run preflight again

SELECT
    'blocks' AS level,
    format('%s is %s%s (set by %s)', s.name, s.reset_val, coalesce(' ' || s.unit, ''), s.source) AS what,
    s.name AS object,
    CASE s.name WHEN 'session_replication_role'
                THEN format('ALTER ROLE %I IN DATABASE %I SET session_replication_role = origin;', current_user, current_database())
                ELSE 'use a server that is built with NAMEDATALEN 64 or more' END AS fix
FROM pg_catalog.pg_settings AS s
WHERE (s.name = 'session_replication_role' AND s.reset_val <> 'origin')
   OR (s.name = 'max_identifier_length' AND s.reset_val::integer < 63);
