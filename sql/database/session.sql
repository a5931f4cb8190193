-- The role or the database may have settings of its own, meant for the application. A session of callctl's has these.
-- The schemas are its own search_path, without pg_catalog: PostgreSQL then looks there first, so that now() and quote_ident() are the
-- server's even where a schema of the path has functions of these names. The rest of the path stays: a trigger of the platform
-- that callctl's writes fire may rely on it.
SELECT pg_catalog.set_config('search_path',
  pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.current_setting('search_path'), '(^|,)\s*"?pg_catalog"?\s*(?=,|$)', '', 'gi'), ', '),
  false);

-- No timeout of its own (the migration lock's session idles while an index is built), READ COMMITTED (what is read behind
-- a lock is what is stored then), literals as the SQL standard has them, names and times as callctl reads them, = NULL as the
-- standard has it, and no notices: what a step wants to say is a warning. Rows that a policy hides are refused, not passed over:
-- row_security = off makes the server answer 42501 (PostgreSQL manual, "Row Security Policies"). A server that does not know a
-- setting yet does without. One that can (PostgreSQL 14, on Linux) looks every second whether callctl is still there, and ends the
-- statement of one that was killed. With less than 4MB of work_mem (the server's default) even small answers of the catalog go to
-- temporary files, which temp_file_limit may forbid. What a session of callctl's writes to callctl's tables is counted
-- (callctl.tally).
SELECT set_config(v.name, v.value, false)
FROM (VALUES
    ('statement_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('transaction_timeout', '0'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off'),
    ('standard_conforming_strings', 'on'),
    ('backslash_quote', 'safe_encoding'),
    ('transform_null_equals', 'off'),
    ('array_nulls', 'on'),
    ('quote_all_identifiers', 'off'),
    ('DateStyle', 'ISO'),
    ('IntervalStyle', 'postgres'),
    ('client_min_messages', 'warning'),
    ('row_security', 'off'),
    ('client_connection_check_interval', '1s'),
    ('callctl.writes', 'on'),
    ('work_mem', CASE WHEN pg_size_bytes(current_setting('work_mem')) < 4194304 THEN '4MB' ELSE current_setting('work_mem') END)
) AS v(name, value)
WHERE (current_setting(v.name, true) IS NOT NULL OR v.name = 'callctl.writes')
  AND (v.name <> 'client_connection_check_interval' OR version() ~* 'linux')
