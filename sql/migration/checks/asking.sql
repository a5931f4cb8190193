-- Settings of a question's own transaction, which is read-only: a query that takes too long is ended, a lock is waited for only
-- so long, and whole tables are read for a few of their rows (whole_tables.sql). Times in milliseconds. callctl.sessions is how
-- many connections a migration opens at most.
SELECT set_config(s.name, s.value, true)
FROM (VALUES
    ('statement_timeout', %(statement_ms)s::text),
    ('lock_timeout', %(lock_ms)s::text),
    ('callctl.sessions', %(sessions)s::text),
    ('callctl.new_tables_row_security', %(new_tables_row_security)s::text),
    ('parallel_setup_cost', '0'),
    ('parallel_tuple_cost', '0')
) AS s(name, value)
