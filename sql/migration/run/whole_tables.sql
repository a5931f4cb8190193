-- Settings of a transaction that reads whole tables for a few of their rows: what a batched statement has to touch, what
-- preflight asks, what a step's checks look for. The planner takes most of their conditions for true in half of the rows or
-- more, and would do without parallel workers.
SELECT set_config(s.name, '0', true)
FROM (VALUES ('parallel_setup_cost'), ('parallel_tuple_cost')) AS s(name)
