-- finding: applied-tables
-- direction: down
-- steps: 9-11
-- ok: the tables that the applied steps made are there
-- why: going down sets these tables aside with their rows; one that somebody dropped or moved would stop it half way
-- do: find out who removed it and bring it back (from a backup, or ALTER TABLE ... SET SCHEMA), then go down

SELECT
    'blocks' AS level,
    format('table %I.%I is not there, though step %s made it', n.nspname, t.name, t.step) AS what,
    format('%I.%I', n.nspname, t.name) AS object,
    ARRAY[t.step] AS steps
FROM (VALUES ('integration_accounts', 9), ('calls', 10), ('call_transcripts', 11)) AS t(name, step)
JOIN pg_catalog.pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c WHERE c.relname = t.name AND c.relnamespace = n.oid AND c.relkind = 'r');
