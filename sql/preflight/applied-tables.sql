-- finding: applied-tables
-- direction: down
-- steps: 9-11
-- ok: the tables that the applied steps made exist
-- why: migrate down sets these tables aside with their rows; it would stop part-way at a table that was dropped or moved
-- do: restore the table from a backup (callctl restore restores it into another database), then run migrate down

SELECT
    'blocks' AS level,
    CASE WHEN other.relkind IS NULL THEN format('table %I.%I is not there, though step %s made it', n.nspname, t.name, t.step)
         ELSE format('%I.%I is a %s, where step %s made a table', n.nspname, t.name,
                     CASE other.relkind WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                        WHEN 'f' THEN 'foreign table' ELSE 'relation' END, t.step) END AS what,
    format('%I.%I', n.nspname, t.name) AS object,
    ARRAY[t.step] AS steps,
    (SELECT format('ALTER TABLE %s SET SCHEMA %I;', o.oid::regclass, n.nspname) FROM pg_catalog.pg_class AS o
     WHERE o.relname = t.name AND o.relkind = 'r' AND o.relnamespace <> n.oid ORDER BY o.oid LIMIT 1) AS fix
FROM (VALUES ('integration_accounts', 9), ('calls', 10), ('call_transcripts', 11)) AS t(name, step)
JOIN pg_catalog.pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
LEFT JOIN pg_catalog.pg_class AS other ON other.relname = t.name AND other.relnamespace = n.oid
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c WHERE c.relname = t.name AND c.relnamespace = n.oid AND c.relkind = 'r');
