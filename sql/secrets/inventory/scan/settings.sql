-- Settings of a transaction that reads a table for the scan. To compile the conditions would take longer than it saves; and several
-- processes are worth it, although the planner takes the conditions for cheap. A policy that would hide rows is an error, and bytes
-- are shown in hex, which the conditions know. If the server does not know the encoding of its text, it sends it as it is.
-- %(timeout)s: the most that a statement may take; %(lock_timeout)s: that it waits for
-- a lock; both in milliseconds, 0 for no limit
SELECT set_config(s.name, s.value, true)
FROM (VALUES
    ('statement_timeout', %(timeout)s::text),
    ('lock_timeout', %(lock_timeout)s::text),
    ('row_security', 'off'),
    ('bytea_output', 'hex'),
    ('client_encoding',
     CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE current_setting('client_encoding') END),
    ('jit', 'off'),
    ('parallel_setup_cost', '0'),
    ('parallel_tuple_cost', '0')
) AS s(name, value)
