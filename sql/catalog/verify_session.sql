-- What verify's transaction goes by: nothing of the session's stands before what the server brings, no query takes longer
-- than it may, and the ids of the keys that there are (none: not set).
-- Then what a few long scans with large hash tables need: memory for the tables, and nothing compiled.
SELECT set_config('search_path', 'pg_catalog', true), set_config('statement_timeout', %(timeout)s, true),
       set_config('callctl.known_keys', %(known_keys)s, true),
       set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')), 64 * 1024 * 1024) / 1024 || 'kB', true),
       set_config('jit', 'off', true)
