-- The rows of the catalog themselves, every column of them, as facts: object, property, value. snapshot.sql says what PostgreSQL
-- prints of an object; this says what it stores, so that an attribute that no one has thought of is compared, too.
-- An OID is replaced by the name of what it is, an attribute number by the column's name, an expression by its text.
-- Left out: what says where or when something is stored, and what collected statistics say (docs/explanation/losslessness.md).
WITH own AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'callctl') AND nspname !~ '^pg_(toast|temp)'
), relation AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class AS c JOIN own AS n ON n.oid = c.relnamespace
), facts AS (
  SELECT 'pg_class' AS catalog, c.name AS object,
         to_jsonb(c) - ARRAY['oid', 'name', 'reltype', 'relfilenode', 'reltoastrelid', 'relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relnatts',
                             'relfrozenxid', 'relminmxid', 'relhasrules', 'relhastriggers', 'relhassubclass', 'relrewrite', 'relacl']
         || jsonb_build_object(
              'relnamespace', c.relnamespace::regnamespace, 'relowner', pg_get_userbyid(c.relowner),
              'relam', (SELECT amname FROM pg_am WHERE oid = c.relam), 'reloftype', nullif(c.reloftype, 0)::regtype,
              'reltablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
              'relpartbound', pg_get_expr(c.relpartbound, c.oid),
              'reloptions', (SELECT array_agg(o ORDER BY o) FROM unnest(c.reloptions) AS o)) AS contents
  FROM relation AS c

  UNION ALL
  -- The number of an index's column is its place in the index; that of a table's is not compared.
  SELECT 'pg_attribute', format('%s.%s', c.name, CASE WHEN c.relkind IN ('i', 'I') THEN a.attnum::text ELSE quote_ident(a.attname) END),
         to_jsonb(a) - ARRAY['attrelid', 'attnum', 'attcacheoff', 'atthasmissing', 'attmissingval']
         || jsonb_build_object(
              'atttypid', format_type(a.atttypid, a.atttypmod),
              'attcollation', (SELECT format('%s.%I', l.collnamespace::regnamespace, l.collname) FROM pg_collation AS l WHERE l.oid = a.attcollation),
              'attstattarget', nullif(a.attstattarget, -1),
              -- Of a type of fixed length neither says anything: but a hash index has them from its column as they are set.
              'attstorage', CASE WHEN a.attlen < 0 THEN a.attstorage END,
              'attcompression', CASE WHEN a.attlen < 0 THEN to_jsonb(a) ->> 'attcompression' END,
              'attoptions', (SELECT array_agg(o ORDER BY o) FROM unnest(a.attoptions) AS o),
              'attacl', (SELECT array_agg(concat_ws(' ', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END,
                                                    x.privilege_type, x.is_grantable) ORDER BY x.grantee, x.privilege_type)
                         FROM aclexplode(a.attacl) AS x),
              'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum))
  FROM relation AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped

  UNION ALL
  SELECT 'pg_index', i.name,
         to_jsonb(x) - ARRAY['indexrelid', 'indcheckxmin']
         || jsonb_build_object(
              'indrelid', x.indrelid::regclass,
              'indkey', (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(x.indkey) WITH ORDINALITY AS k(number, place)
                         LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number AND k.number <> 0),
              'indclass', (SELECT array_agg(format('%s.%I', p.opcnamespace::regnamespace, p.opcname) ORDER BY k.place)
                           FROM unnest(x.indclass) WITH ORDINALITY AS k(number, place) JOIN pg_opclass AS p ON p.oid = k.number),
              'indcollation', (SELECT array_agg(l.collname ORDER BY k.place) FROM unnest(x.indcollation) WITH ORDINALITY AS k(number, place)
                               LEFT JOIN pg_collation AS l ON l.oid = k.number),
              'indexprs', pg_get_expr(x.indexprs, x.indrelid), 'indpred', pg_get_expr(x.indpred, x.indrelid))
  FROM relation AS i JOIN pg_index AS x ON x.indexrelid = i.oid

  UNION ALL
  SELECT 'pg_constraint', format('%I on %s', k.conname, c.name),
         to_jsonb(k) - ARRAY['oid', 'contypid', 'conbin', 'confdelsetcols']
         || jsonb_build_object(
              'connamespace', k.connamespace::regnamespace, 'conrelid', k.conrelid::regclass,
              'conindid', nullif(k.conindid, 0)::regclass, 'confrelid', nullif(k.confrelid, 0)::regclass,
              'conparentid', (SELECT p.conname FROM pg_constraint AS p WHERE p.oid = k.conparentid),
              'conkey', (SELECT array_agg(a.attname ORDER BY CASE WHEN k.contype <> 'c' THEN n.place END, a.attname)
                         FROM unnest(k.conkey) WITH ORDINALITY AS n(number, place)
                         LEFT JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.number AND n.number > 0),
              'confkey', (SELECT array_agg(a.attname ORDER BY n.place) FROM unnest(k.confkey) WITH ORDINALITY AS n(number, place)
                          JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.number),
              'definition', pg_get_constraintdef(k.oid),
              'conpfeqop', k.conpfeqop::regoperator[], 'conppeqop', k.conppeqop::regoperator[], 'conffeqop', k.conffeqop::regoperator[],
              'conexclop', k.conexclop::regoperator[])
  FROM relation AS c JOIN pg_constraint AS k ON k.conrelid = c.oid

  UNION ALL
  -- The triggers of a foreign key have its OID in their names.
  SELECT 'pg_trigger', CASE WHEN g.tgisinternal THEN format('%s of %I on %s', g.tgfoid::regproc, k.conname, c.name) ELSE format('%I on %s', g.tgname, c.name) END,
         to_jsonb(g) - ARRAY['oid', 'tgrelid', 'tgparentid', CASE WHEN g.tgisinternal THEN 'tgname' ELSE '' END]
         || jsonb_build_object(
              'tgfoid', g.tgfoid::regprocedure, 'tgconstrrelid', nullif(g.tgconstrrelid, 0)::regclass,
              'tgconstrindid', nullif(g.tgconstrindid, 0)::regclass, 'tgconstraint', k.conname,
              'tgattr', (SELECT array_agg(a.attname ORDER BY a.attname) FROM unnest(g.tgattr) AS n(number)
                         JOIN pg_attribute AS a ON a.attrelid = g.tgrelid AND a.attnum = n.number),
              'tgqual', CASE WHEN NOT g.tgisinternal THEN pg_get_triggerdef(g.oid) END)
  FROM relation AS c JOIN pg_trigger AS g ON g.tgrelid = c.oid LEFT JOIN pg_constraint AS k ON k.oid = g.tgconstraint
  WHERE k.conrelid IS NULL OR EXISTS (SELECT FROM relation AS r WHERE r.oid = k.conrelid)

  UNION ALL
  -- Its expressions are in snapshot.sql: PostgreSQL prints them with its columns.
  SELECT 'pg_statistic_ext', format('%I.%I', o.nspname, s.stxname),
         to_jsonb(s) - ARRAY['oid', 'stxexprs']
         || jsonb_build_object(
              'stxrelid', s.stxrelid::regclass, 'stxnamespace', o.nspname, 'stxowner', pg_get_userbyid(s.stxowner),
              'stxstattarget', nullif((to_jsonb(s) ->> 'stxstattarget')::integer, -1),
              'stxkeys', (SELECT array_agg(a.attname ORDER BY a.attname) FROM unnest(s.stxkeys) AS n(number)
                          JOIN pg_attribute AS a ON a.attrelid = s.stxrelid AND a.attnum = n.number),
              'stxkind', (SELECT array_agg(k ORDER BY k) FROM unnest(s.stxkind) AS k))
  FROM own AS o JOIN pg_statistic_ext AS s ON s.stxnamespace = o.oid

  UNION ALL
  SELECT 'pg_rewrite', format('%I on %s', r.rulename, c.name),
         to_jsonb(r) - ARRAY['oid', 'ev_class', 'ev_qual'] || jsonb_build_object('ev_action', pg_get_ruledef(r.oid))
  FROM relation AS c JOIN pg_rewrite AS r ON r.ev_class = c.oid

  UNION ALL
  SELECT 'pg_policy', format('%I on %s', p.polname, c.name),
         to_jsonb(p) - ARRAY['oid', 'polrelid']
         || jsonb_build_object('polroles', p.polroles::regrole[], 'polqual', pg_get_expr(p.polqual, p.polrelid),
                               'polwithcheck', pg_get_expr(p.polwithcheck, p.polrelid))
  FROM relation AS c JOIN pg_policy AS p ON p.polrelid = c.oid

  UNION ALL
  SELECT 'pg_type', format('%I.%I', o.nspname, t.typname),
         to_jsonb(t) - ARRAY['oid', 'typacl', 'typdefaultbin', 'typrelid']
         || jsonb_build_object(
              'typnamespace', o.nspname, 'typowner', pg_get_userbyid(t.typowner), 'typelem', nullif(t.typelem, 0)::regtype,
              'typarray', nullif(t.typarray, 0)::regtype, 'typbasetype', nullif(t.typbasetype, 0)::regtype,
              'typcollation', (SELECT collname FROM pg_collation AS l WHERE l.oid = t.typcollation))
  FROM own AS o JOIN pg_type AS t ON t.typnamespace = o.oid

  UNION ALL
  SELECT 'pg_publication_rel', format('%s of %I', r.prrelid::regclass, p.pubname),
         to_jsonb(r) - ARRAY['oid', 'prpubid', 'prrelid']
         || jsonb_build_object(
              'prattrs', (SELECT array_agg(a.attname ORDER BY a.attname) FROM jsonb_array_elements_text(nullif(to_jsonb(r) -> 'prattrs', 'null')) AS n(number)
                          JOIN pg_attribute AS a ON a.attrelid = r.prrelid AND a.attnum = n.number::smallint))
  FROM pg_publication AS p JOIN pg_publication_rel AS r ON r.prpubid = p.oid

  UNION ALL
  SELECT 'pg_description', i.type || ' ' || i.identity, jsonb_build_object('description', d.description)
  FROM pg_description AS d, pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
  WHERE d.objoid >= 16384 AND i.identity !~ E'\\ycallctl\\y'

  UNION ALL
  SELECT 'pg_seclabel', s.provider || ': ' || i.type || ' ' || i.identity, jsonb_build_object('label', s.label)
  FROM pg_seclabel AS s, pg_identify_object(s.classoid, s.objoid, s.objsubid) AS i

  UNION ALL
  -- What depends on what, and how. Not on a TOAST table, nor what a foreign key's triggers need.
  SELECT 'pg_depend', format('%s %s on %s %s', i.type, i.identity, r.type, r.identity), jsonb_build_object('deptype', string_agg(d.deptype::text, ' ' ORDER BY d.deptype))
  FROM pg_depend AS d, pg_identify_object(d.classid, d.objid, d.objsubid) AS i, pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) AS r
  WHERE d.objid >= 16384 AND (d.refobjid >= 16384 OR d.refclassid = 'pg_extension'::regclass)
    AND i.identity !~ E'\\ycallctl\\y|pg_toast|_ConstraintTrigger_' AND r.identity !~ E'\\ycallctl\\y|pg_toast|_ConstraintTrigger_'
  GROUP BY 1, i.type, i.identity, r.type, r.identity
)
SELECT format('row of %s: %s', f.catalog, f.object) AS object, e.key AS property, e.value
FROM facts AS f, jsonb_each_text(f.contents) AS e
