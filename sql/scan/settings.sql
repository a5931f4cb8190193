-- Settings of the transaction that scans a table. To compile the conditions would take longer than it saves; and several processes
-- are worth it, although the planner takes LIKE for cheap. %(timeout)s: the most that it may take, in milliseconds
SELECT set_config(s.name, s.value, true)
FROM (VALUES
    ('statement_timeout', %(timeout)s::text),
    ('jit', 'off'),
    ('parallel_setup_cost', '0'),
    ('parallel_tuple_cost', '0')
) AS s(name, value)
