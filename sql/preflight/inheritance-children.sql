-- finding: inheritance-children
-- steps: 1-7, 9-10, 12
-- direction: both
-- ok: no table to be changed has children, parents or partitions
-- why: ALTER TABLE also changes and locks every child, and cannot change an inherited column of a
--      table; a foreign key does not see the rows of a child
-- do: remove the table from the inheritance first, or migrate a copy without it

SELECT
    'blocks' AS level,
    format('%s inherits from %s', i.inhrelid::regclass, i.inhparent::regclass) AS what,
    ARRAY[i.inhrelid::regclass::text, i.inhparent::regclass::text] AS object,
    t.steps,
    CASE WHEN h.relkind = 'p' THEN format('ALTER TABLE %s DETACH PARTITION %s;', i.inhparent::regclass, i.inhrelid::regclass)
         ELSE format('ALTER TABLE %s NO INHERIT %s;', i.inhrelid::regclass, i.inhparent::regclass) END AS fix
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 4, 5]),
    ('chatbots', ARRAY[3, 4, 6, 10, 12]),
    ('ai_models', ARRAY[7]),
    ('companies', ARRAY[9, 10, 12])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid OR i.inhparent = c.oid
JOIN pg_catalog.pg_class AS h ON h.oid = i.inhparent;
