-- Everything that PostgreSQL says of a database's own objects, as facts: object, property, value.
-- Not in it: OIDs, the order of columns, planner statistics, callctl's own schema. NOT NULL constraints are in catalog_rows.sql.
-- What it leaves out on purpose is written in docs/explanation/losslessness.md.
WITH own AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'callctl') AND nspname !~ '^pg_(toast|temp)'
), relation AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class AS c JOIN own AS n ON n.oid = c.relnamespace
), acl AS (
  SELECT kind, object, array_agg(
           concat_ws(' ', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END, privilege_type,
                     CASE WHEN is_grantable THEN 'with grant option' END)
           ORDER BY grantee = 0, pg_get_userbyid(grantee), privilege_type)::text AS grants
  FROM (
    SELECT 'relation' AS kind, c.name AS object, x.*
    FROM relation AS c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) AS x
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'column', format('%s.%I', c.name, a.attname), x.*
    FROM relation AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped, aclexplode(a.attacl) AS x
    UNION ALL
    SELECT 'schema', quote_ident(n.nspname), x.*
    FROM own AS o JOIN pg_namespace AS n ON n.oid = o.oid, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS x
    UNION ALL
    SELECT 'type', format('%I.%I', o.nspname, t.typname), x.*
    FROM own AS o JOIN pg_type AS t ON t.typnamespace = o.oid AND t.typtype IN ('e', 'd'),
         aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) AS x
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, x.*
    FROM own AS o JOIN pg_proc AS p ON p.pronamespace = o.oid, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
  ) AS every_grant
  GROUP BY kind, object
)
SELECT 'schema ' || quote_ident(n.nspname) AS object, fact.property, fact.value
FROM own AS o JOIN pg_namespace AS n ON n.oid = o.oid,
LATERAL (VALUES
  ('owner', pg_get_userbyid(n.nspowner)::text),
  ('comment', obj_description(n.oid, 'pg_namespace'))
) AS fact (property, value)

UNION ALL
SELECT kind || ' ' || object, 'grants', grants FROM acl

UNION ALL
SELECT 'relation ' || c.name, fact.property, fact.value
FROM relation AS c,
LATERAL (VALUES
  ('kind', c.relkind::text),
  ('owner', pg_get_userbyid(c.relowner)::text),
  ('comment', obj_description(c.oid, 'pg_class')),
  ('options', c.reloptions::text),
  ('replica identity', c.relreplident::text),
  ('row security', c.relrowsecurity::text || c.relforcerowsecurity::text),
  ('persistence', c.relpersistence::text),
  ('tablespace', c.reltablespace::text),
  ('query', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END),
  ('inherits', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits AS i WHERE i.inhrelid = c.oid))
) AS fact (property, value)
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')

UNION ALL
SELECT 'column ' || format('%s.%I', c.name, a.attname), fact.property, fact.value
FROM relation AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum,
LATERAL (VALUES
  ('type', format_type(a.atttypid, a.atttypmod)),
  ('not null', a.attnotnull::text),
  ('default', pg_get_expr(d.adbin, d.adrelid)),
  ('generated', nullif(a.attgenerated::text, '')),
  ('identity', nullif(a.attidentity::text, '')),
  ('collation', (SELECT format('%s.%s', l.collnamespace::regnamespace, l.collname) FROM pg_collation AS l WHERE l.oid = a.attcollation)),
  ('storage', a.attstorage::text),
  ('compression', nullif(to_jsonb(a) ->> 'attcompression', '')),
  ('statistics target', to_jsonb(a) ->> 'attstattarget'),
  ('options', a.attoptions::text),
  ('comment', col_description(c.oid, a.attnum))
) AS fact (property, value)
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')

UNION ALL
SELECT 'constraint ' || format('%I on %s', k.conname, c.name), fact.property, fact.value
FROM relation AS c
JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype <> 'n',
LATERAL (VALUES
  ('definition', pg_get_constraintdef(k.oid)),
  ('validated', k.convalidated::text),
  ('enforced', to_jsonb(k) ->> 'conenforced'),
  ('comment', obj_description(k.oid, 'pg_constraint'))
) AS fact (property, value)

UNION ALL
SELECT 'index ' || i.name, fact.property, fact.value
FROM relation AS i
JOIN pg_index AS x ON x.indexrelid = i.oid,
LATERAL (VALUES
  ('definition', pg_get_indexdef(i.oid)),
  ('valid', (x.indisvalid AND x.indisready)::text),
  ('clustered', x.indisclustered::text),
  ('replica identity', x.indisreplident::text),
  ('tablespace', i.reltablespace::text),
  ('comment', obj_description(i.oid, 'pg_class'))
) AS fact (property, value)

UNION ALL
SELECT 'trigger ' || format('%I on %s', t.tgname, c.name), fact.property, fact.value
FROM relation AS c
JOIN pg_trigger AS t ON t.tgrelid = c.oid AND NOT t.tgisinternal,
LATERAL (VALUES
  ('definition', pg_get_triggerdef(t.oid)),
  ('enabled', t.tgenabled::text),
  ('comment', obj_description(t.oid, 'pg_trigger'))
) AS fact (property, value)

UNION ALL
SELECT 'function ' || p.oid::regprocedure::text, fact.property, fact.value
FROM own AS o
JOIN pg_proc AS p ON p.pronamespace = o.oid,
LATERAL (VALUES
  ('definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END),
  ('owner', pg_get_userbyid(p.proowner)::text),
  ('comment', obj_description(p.oid, 'pg_proc'))
) AS fact (property, value)

UNION ALL
SELECT 'type ' || format('%I.%I', o.nspname, t.typname), fact.property, fact.value
FROM own AS o
JOIN pg_type AS t ON t.typnamespace = o.oid AND t.typtype IN ('e', 'd'),
LATERAL (VALUES
  ('labels', (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)::text FROM pg_enum AS e WHERE e.enumtypid = t.oid)),
  ('base type', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END),
  ('owner', pg_get_userbyid(t.typowner)::text),
  ('comment', obj_description(t.oid, 'pg_type'))
) AS fact (property, value)

UNION ALL
SELECT 'statistics ' || format('%I.%I', o.nspname, s.stxname), fact.property, fact.value
FROM own AS o
JOIN pg_statistic_ext AS s ON s.stxnamespace = o.oid,
LATERAL (VALUES
  -- Printed in the order of the table's columns, which is not compared.
  ('definition', (SELECT string_agg(item, ', ' ORDER BY item)
                  FROM regexp_split_to_table(regexp_replace(pg_get_statisticsobjdef(s.oid), '^.* ON (.*) FROM .*$', '\1'), ', ') AS item)),
  ('kinds and table', regexp_replace(pg_get_statisticsobjdef(s.oid), ' ON .* FROM ', ' ON ... FROM ')),
  ('owner', pg_get_userbyid(s.stxowner)::text),
  ('target', to_jsonb(s) ->> 'stxstattarget'),
  ('comment', obj_description(s.oid, 'pg_statistic_ext'))
) AS fact (property, value)

UNION ALL
SELECT 'rule ' || format('%I on %s', r.rulename, c.name), fact.property, fact.value
FROM relation AS c
JOIN pg_rewrite AS r ON r.ev_class = c.oid AND r.rulename <> '_RETURN',
LATERAL (VALUES
  ('definition', pg_get_ruledef(r.oid)),
  ('enabled', r.ev_enabled::text),
  ('comment', obj_description(r.oid, 'pg_rewrite'))
) AS fact (property, value)

UNION ALL
SELECT 'policy ' || format('%I on %s', p.polname, c.name), fact.property, fact.value
FROM relation AS c
JOIN pg_policy AS p ON p.polrelid = c.oid,
LATERAL (VALUES
  ('definition', concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[]::text,
                           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))),
  ('comment', obj_description(p.oid, 'pg_policy'))
) AS fact (property, value)

UNION ALL
SELECT 'publication ' || quote_ident(p.pubname), 'table ' || r.prrelid::regclass, concat('columns ', to_jsonb(r) ->> 'prattrs')
FROM pg_publication AS p JOIN pg_publication_rel AS r ON r.prpubid = p.oid
