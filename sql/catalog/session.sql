-- The role or the database may have settings of its own, meant for the application. A session of callctl's has these:
-- no timeout of its own (the migration lock's session idles while an index is built), READ COMMITTED (what is read behind
-- a lock is what stands there then), literals as the SQL standard has them, times as psycopg reads them, and no notices: what
-- a step wants to say is a warning. Rows that a policy hides are refused, not passed over: row_security = off makes the server
-- answer 42501 (PostgreSQL manual, "Row Security Policies"). A server that does not know a setting yet does without. One that can
-- (PostgreSQL 14, on Linux) looks every second whether callctl is still there, and ends the statement of one that was killed. With
-- less than 4MB of work_mem (the server's default) even small answers of the catalog go to temporary files, which temp_file_limit
-- may forbid.
SELECT set_config(v.name, v.value, false)
FROM (VALUES
    ('statement_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('transaction_timeout', '0'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off'),
    ('standard_conforming_strings', 'on'),
    ('DateStyle', 'ISO'),
    ('IntervalStyle', 'postgres'),
    ('client_min_messages', 'warning'),
    ('row_security', 'off'),
    ('client_connection_check_interval', '1s'),
    ('work_mem', CASE WHEN pg_size_bytes(current_setting('work_mem')) < 4194304 THEN '4MB' ELSE current_setting('work_mem') END)
) AS v(name, value)
WHERE current_setting(v.name, true) IS NOT NULL
  AND (v.name <> 'client_connection_check_interval' OR version() ~* 'linux')
