-- A question's own transaction: it writes nothing, ends a query that takes too long, waits for a lock only so long, and reads
-- whole tables for a few of their rows (whole_tables.sql). Times in milliseconds.
SELECT set_config(s.name, s.value, true)
FROM (VALUES
    ('transaction_read_only', 'on'),
    ('statement_timeout', %(statement_ms)s::text),
    ('lock_timeout', %(lock_ms)s::text),
    ('parallel_setup_cost', '0'),
    ('parallel_tuple_cost', '0')
) AS s(name, value)
