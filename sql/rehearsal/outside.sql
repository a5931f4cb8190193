-- Objects that a rehearsal cannot make, or does not: kind, name. What cannot be told before it is tried is not here.
SELECT 'foreign table' AS kind, format('%I.%I', n.nspname, c.relname) AS name
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'f'
UNION ALL
SELECT 'foreign server', format('%I', s.srvname) FROM pg_catalog.pg_foreign_server AS s
UNION ALL
SELECT 'subscription', format('%I', s.subname) FROM pg_catalog.pg_subscription AS s
WHERE s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
UNION ALL
SELECT 'tablespace', format('%I', t.spcname)
FROM pg_catalog.pg_tablespace AS t
WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.reltablespace = t.oid) AND t.spcname NOT IN ('pg_global', 'pg_default')
UNION ALL
SELECT 'extension', e.extname FROM pg_catalog.pg_extension AS e WHERE e.extname <> 'plpgsql'
ORDER BY 1, 2
