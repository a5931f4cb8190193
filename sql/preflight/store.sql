-- finding: store
-- direction: both
-- ok: the schema callctl is free, or is callctl's own and belongs to this platform
-- why: callctl keeps its history and all saved values in the schema callctl, one for each database
-- do: name the schema of the migrated platform with --schema; rename a schema callctl of another
--      program

SELECT
    'blocks' AS level,
    format('schema callctl belongs to another program: it holds %s relations, and no callctl.history', count(*)) AS what,
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

-- A later callctl updates its tables and functions, which only their owner may.
SELECT
    'blocks' AS level,
    format('%s belongs to role %s, and role %s is not one of its members', n.part, n.owner, current_user) AS what,
    'callctl' AS object,
    CASE WHEN n.rolsuper
         THEN format('run callctl as %s; or, as a superuser, give the schema and all in it to %s: DO $$ DECLARE o record; BEGIN'
                     ' ALTER SCHEMA callctl OWNER TO %I; FOR o IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace ='
                     ' ''callctl''::regnamespace AND relkind IN (''r'', ''v'') LOOP EXECUTE format(''ALTER TABLE %%s OWNER TO %I'', o.name);'
                     ' END LOOP; FOR o IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = ''callctl''::regnamespace'
                     ' LOOP EXECUTE format(''ALTER ROUTINE %%s OWNER TO %I'', o.name); END LOOP; END $$;',
                     n.owner, current_user, current_user, current_user, current_user)
         ELSE format('GRANT %I TO %I;', n.owner, current_user) END AS fix
FROM (
    SELECT r.oid, r.rolname::text AS owner, r.rolsuper, (array_agg(o.part ORDER BY o.rank, o.part))[1] AS part
    FROM pg_catalog.pg_namespace AS n
    CROSS JOIN LATERAL (
        SELECT n.nspowner AS owner, 'schema callctl' AS part, 1 AS rank
        UNION ALL
        SELECT c.relowner, 'table ' || c.oid::regclass::text, 2 FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'v')
        UNION ALL
        SELECT p.proowner, 'routine ' || p.oid::regprocedure::text, 3 FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = n.oid
    ) AS o
    JOIN pg_catalog.pg_roles AS r ON r.oid = o.owner
    WHERE n.nspname = 'callctl'
    GROUP BY r.oid, r.rolname, r.rolsuper
) AS n
WHERE NOT pg_has_role(n.oid, 'USAGE');
