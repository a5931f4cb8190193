-- finding: store
-- direction: both
-- ok: the schema callctl is free, or is callctl's own and belongs to this platform
-- why: callctl keeps its history and everything it saved in the schema callctl, one for each database
-- do: give the schema of the platform that was migrated with --schema; a foreign schema named callctl has
--      to be renamed

SELECT
    'blocks' AS level,
    format('schema callctl is somebody else''s: it holds %s relations, and no callctl.history', count(*)) AS what,
    'callctl' AS object
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'callctl' AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
HAVING count(*) > 0 AND NOT bool_or(c.relname = 'history');

-- needs: callctl.installation
SELECT
    'blocks' AS level,
    format('callctl has migrated the platform in schema %I of this database, not the one in %I', i.platform_schema, n.nspname)
        AS what,
    i.platform_schema AS object
FROM callctl.installation AS i
JOIN pg_catalog.pg_namespace AS n ON n.oid = 'chatapp'::regnamespace
WHERE i.platform_schema <> n.nspname;
