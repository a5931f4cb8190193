-- Settings of the session that writes the batches of a rotation: a few thousand rows found by key, a commit each. Without these
-- the planner, at some sizes, reads whole tables. A commit need not be on disk when the next batch begins: how far a range has
-- come is in it, so what a crash takes away is done again; the end of the rotation waits for the disk, and takes all along.
-- %(most_ms)s: the most that a statement may take, in milliseconds
SELECT set_config(s.name, s.value, false)
FROM (VALUES
    ('enable_seqscan', 'off'),
    ('enable_hashjoin', 'off'),
    ('enable_mergejoin', 'off'),
    ('enable_material', 'off'),
    ('synchronous_commit', 'off'),
    ('statement_timeout', %(most_ms)s::text)
) AS s(name, value)
