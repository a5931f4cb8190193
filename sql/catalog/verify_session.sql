-- What verify's transaction goes by: nothing of the session's stands before what the server brings, no query takes longer
-- than it may, and the ids of the keys that there are (none: not set).
SELECT set_config('search_path', 'pg_catalog', true), set_config('statement_timeout', %(timeout)s, true),
       set_config('callctl.known_keys', %(known_keys)s, true)
