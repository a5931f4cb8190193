-- finding: expected-tables
-- direction: both
-- ok: every table that the pending steps work on exists, as an ordinary table
-- why: the steps alter and refer to these tables; a partitioned, inherited, foreign or unlogged one behaves
--      differently under ALTER TABLE and foreign keys
-- do: check --schema and the database name; turn a table of another kind into an ordinary one
--      first

SELECT
    'blocks' AS level,
    CASE
        WHEN c.oid IS NULL THEN format('table %I.%I is not there', n.nspname, t.name)
        WHEN c.relkind <> 'r' THEN format('%I.%I is not an ordinary table but a %s', n.nspname, t.name,
            CASE c.relkind WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                           WHEN 'f' THEN 'foreign table' ELSE 'relation of kind ' || c.relkind::text END)
        ELSE format('%I.%I is an unlogged table, and the new tables may not refer to one', n.nspname, t.name)
    END AS what,
    format('%I.%I', n.nspname, t.name) AS object,
    t.steps
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 4, 5, 6]),
    ('chatbots', ARRAY[3, 4, 6, 10, 12]),
    ('ai_models', ARRAY[7, 8, 13]),
    ('companies', ARRAY[9, 10, 12]),
    ('end_users', ARRAY[10]),
    ('conversations', ARRAY[10])
) AS t(name, steps)
JOIN pg_catalog.pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
LEFT JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = n.oid
WHERE c.oid IS NULL OR c.relkind <> 'r' OR c.relpersistence <> 'p';
