-- The objects in a database that should be empty, by kind. Extensions and their objects are allowed: a server's
-- template may bring them, and a dump makes only those that are missing.
SELECT thing.kind, count(*), (array_agg(thing.name ORDER BY thing.name))[1:3]
FROM (
  SELECT 'schema' AS kind, quote_ident(n.nspname) AS name, 'pg_catalog.pg_namespace'::regclass AS classid, n.oid AS objid
  FROM pg_catalog.pg_namespace AS n
  WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public')
  UNION ALL
  SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view' WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END,
         format('%I.%I', n.nspname, c.relname), 'pg_catalog.pg_class'::regclass, c.oid
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'type', format('%I.%I', n.nspname, t.typname), 'pg_catalog.pg_type'::regclass, t.oid
  FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typrelid = 0 AND t.typelem = 0
  UNION ALL
  SELECT 'function', format('%I.%I', n.nspname, p.proname), 'pg_catalog.pg_proc'::regclass, p.oid
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  UNION ALL
  SELECT 'publication', quote_ident(b.pubname), 'pg_catalog.pg_publication'::regclass, b.oid FROM pg_catalog.pg_publication AS b
  UNION ALL
  SELECT 'event trigger', quote_ident(v.evtname), 'pg_catalog.pg_event_trigger'::regclass, v.oid
  FROM pg_catalog.pg_event_trigger AS v
  UNION ALL
  SELECT 'large object', o.oid::text, 'pg_catalog.pg_largeobject'::regclass, o.oid FROM pg_catalog.pg_largeobject_metadata AS o
) AS thing
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend AS d
  WHERE d.classid = thing.classid AND d.objid = thing.objid AND d.deptype = 'e')
GROUP BY thing.kind
ORDER BY array_position(ARRAY['schema', 'table'], thing.kind), thing.kind
