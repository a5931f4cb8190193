-- Everything that is defined in a database outside callctl's own schema: the object, and how PostgreSQL prints it.
-- Left out: OIDs, the order of columns and of grants, planner statistics, the names of NOT NULL constraints.
WITH own AS (
  SELECT oid, quote_ident(nspname) AS name, nspowner, nspacl
  FROM pg_catalog.pg_namespace
  WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'callctl') AND nspname !~ '^pg_(toast|temp)'
), relation AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN own ON own.oid = c.relnamespace
)
SELECT 'schema ' || name AS object,
       concat_ws('; ', nspowner::regrole,
                 CASE WHEN nspacl IS NOT NULL THEN ARRAY(SELECT g::text FROM unnest(nspacl) AS g ORDER BY 1) END,
                 obj_description(oid, 'pg_namespace')) AS definition
FROM own
UNION ALL
SELECT 'table ' || name,
       concat_ws('; ', relkind, relowner::regrole,
                 CASE WHEN relacl IS NOT NULL THEN ARRAY(SELECT g::text FROM unnest(relacl) AS g ORDER BY 1) END, reloptions, relpersistence, relreplident,
                 relrowsecurity, obj_description(oid, 'pg_class'))
FROM relation
WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
UNION ALL
SELECT format('column %s.%I', r.name, a.attname),
       concat_ws('; ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 pg_get_expr(d.adbin, d.adrelid), a.attcollation, a.attstorage, a.attgenerated, a.attidentity,
                 CASE WHEN a.attacl IS NOT NULL THEN ARRAY(SELECT g::text FROM unnest(a.attacl) AS g ORDER BY 1) END,
                 col_description(r.oid, a.attnum))
FROM relation AS r
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT format('constraint %I on %s', k.conname, r.name),
       concat_ws('; ', pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint'))
FROM relation AS r
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid AND k.contype <> 'n'
UNION ALL
SELECT 'index ' || r.name,
       concat_ws('; ', pg_get_indexdef(r.oid), i.indisvalid, i.indisclustered, obj_description(r.oid, 'pg_class'))
FROM relation AS r
JOIN pg_catalog.pg_index AS i ON i.indexrelid = r.oid
UNION ALL
SELECT format('trigger %I on %s', t.tgname, r.name),
       concat_ws('; ', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
FROM relation AS r
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'function ' || p.oid::regprocedure,
       concat_ws('; ', pg_get_functiondef(p.oid), p.proowner::regrole,
                 CASE WHEN p.proacl IS NOT NULL THEN ARRAY(SELECT g::text FROM unnest(p.proacl) AS g ORDER BY 1) END,
                 obj_description(p.oid, 'pg_proc'))
FROM own
JOIN pg_catalog.pg_proc AS p ON p.pronamespace = own.oid AND p.prokind <> 'a'
UNION ALL
SELECT format('type %s.%I', own.name, t.typname),
       concat_ws('; ', (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
                        FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid),
                 t.typowner::regrole, CASE WHEN t.typacl IS NOT NULL THEN ARRAY(SELECT g::text FROM unnest(t.typacl) AS g ORDER BY 1) END,
                 obj_description(t.oid, 'pg_type'))
FROM own
JOIN pg_catalog.pg_type AS t ON t.typnamespace = own.oid AND t.typtype IN ('e', 'd')
