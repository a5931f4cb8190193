-- Settings of the transaction that looks for the rows a batched statement has to touch. It reads a whole table, and the planner
-- takes conditions such as these for true in half of the rows: it would do without parallel workers.
SELECT set_config(s.name, '0', true)
FROM (VALUES ('parallel_setup_cost'), ('parallel_tuple_cost')) AS s(name)
