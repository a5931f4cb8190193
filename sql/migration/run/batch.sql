-- Settings of the transaction of one batch. It is a few thousand rows found by key: without these the planner, at some sizes,
-- reads whole tables. %(most_ms)s: the most that it may take, in milliseconds
SELECT set_config(s.name, s.value, true)
FROM (VALUES
    ('enable_seqscan', 'off'),
    ('enable_hashjoin', 'off'),
    ('enable_mergejoin', 'off'),
    ('enable_material', 'off'),
    ('statement_timeout', %(most_ms)s::text)
) AS s(name, value)
