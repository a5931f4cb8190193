-- How step 1 can be taken back: in place, which rewrites users under a lock, or through a shadow column, beside the application.
-- kind 'table': its size. 'never': why a shadow column cannot be. 'unwise': why it is not chosen unless it is asked for.
-- 'begun': step 1 is half way down already, through a shadow column or in place.
WITH t AS (
  SELECT c.oid, c.relname, c.relkind, c.reltuples, c.reltype, c.relreplident, c.reloftype, c.relnamespace, a.attnum, a.attname,
         (SELECT d.detail ->> 'type' FROM callctl.definition AS d WHERE d.step = 1 AND d.kind = 'column type' ORDER BY d.ordinal LIMIT 1) AS old_type,
         (SELECT d.name FROM callctl.definition AS d WHERE d.step = 1 AND d.kind = 'shadow') AS shadow
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'avatar_url'::name AND NOT a.attisdropped
  WHERE c.oid = 'chatapp.users'::regclass
), fires AS (
  -- What the UPDATE that fills the shadow would set off: it names no column of the platform's.
  SELECT g.tgname, g.tgtype::integer AS type, g.tgfoid::regprocedure AS function, l.lanname, p.prosrc
  FROM t
  JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
  JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid AND p.pronamespace <> 'callctl'::regnamespace
  JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
  WHERE g.tgtype::integer & 16 = 16 AND cardinality(g.tgattr::smallint[]) = 0
), fills AS (
  -- The body without strings and comments.
  SELECT f.tgname, f.function, f.lanname,
         lower(regexp_replace(f.prosrc, '''[^'']*''|--[^\n]*|/\*.*?\*/', ' ', 'g')) AS body
  FROM fires AS f WHERE f.type & 3 = 3
)
SELECT 'table' AS kind, t.oid::regclass::text AS what, pg_total_relation_size(t.oid) AS bytes,
       CASE WHEN t.reltuples >= 0 THEN t.reltuples::bigint END AS rows, t.old_type IN ('text', 'character varying') AS instant
FROM t
UNION ALL
SELECT 'begun', CASE WHEN t.shadow IS NULL THEN 'in place' ELSE 'shadow' END, NULL, NULL, NULL
FROM t WHERE EXISTS (SELECT FROM callctl.checkpoint AS k WHERE k.step = 1 AND k.direction = 'down')
UNION ALL
SELECT 'never', w.what, NULL, NULL, NULL
FROM t
CROSS JOIN LATERAL (
  SELECT format('its old type is %s, not character varying with a limit', coalesce(t.old_type, 'unknown'))
  WHERE (t.old_type LIKE 'character varying(%') IS NOT TRUE
  UNION ALL
  SELECT format('%s is no ordinary table', t.oid::regclass)
  WHERE t.relkind <> 'r' OR t.reloftype <> 0 OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE t.oid IN (i.inhrelid, i.inhparent))
  UNION ALL
  SELECT format('%s is in publication %s without a column list, so its subscribers would stop at the new column', t.oid::regclass, b.pubname)
  FROM pg_catalog.pg_publication_tables AS b
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = b.schemaname
  JOIN pg_catalog.pg_publication AS p ON p.pubname = b.pubname
  WHERE b.tablename = t.relname
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel AS r
                    WHERE r.prpubid = p.oid AND r.prrelid = t.oid AND to_jsonb(r) ->> 'prattrs' IS NOT NULL)
  UNION ALL
  SELECT format('%s is fed by a subscription of this database', t.oid::regclass)
  WHERE EXISTS (SELECT FROM pg_catalog.pg_subscription_rel AS s WHERE s.srrelid = t.oid)
  UNION ALL
  SELECT format('the replica identity of %s includes the column', t.oid::regclass)
  WHERE t.relreplident = 'f'
     OR EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = t.oid AND i.indisreplident AND t.attnum = ANY (i.indkey::smallint[]))
  UNION ALL
  SELECT format('%s fires after each batch that fills it', concat_ws(' ', 'trigger', quote_ident(f.tgname), format('(%s)', f.function)))
  FROM fires AS f WHERE f.type & 3 <> 3
  UNION ALL
  SELECT format('rule %I rewrites the UPDATE that fills it', r.rulename)
  FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = t.oid AND r.ev_type = '2' AND r.ev_enabled <> 'D'
  UNION ALL
  SELECT format('trigger %I fires behind callctl''s, whose names begin with zzz_callctl', g.tgname)
  FROM pg_catalog.pg_trigger AS g
  JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid AND p.pronamespace <> 'callctl'::regnamespace
  WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
    AND g.tgtype::integer & 3 = 3 AND g.tgtype::integer & 20 <> 0 AND g.tgname::text COLLATE "C" > 'zzz_callctl'
  UNION ALL
  SELECT DISTINCT format('%s depends on the column', pg_describe_object(d.classid, d.objid, d.objsubid))
  FROM pg_catalog.pg_depend AS d
  LEFT JOIN pg_catalog.pg_constraint AS k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
  WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid = t.attnum
    AND d.classid NOT IN ('pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_statistic_ext'::regclass)
    AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indexrelid = d.objid))
    AND (k.contype IN ('c', 'n') AND k.conrelid = t.oid) IS NOT TRUE
  UNION ALL
  SELECT format('generated column %s.%I depends on the column', e.adrelid::regclass, i.attname)
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_attrdef AS e ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND e.oid = d.objid
  JOIN pg_catalog.pg_attribute AS i ON i.attrelid = e.adrelid AND i.attnum = e.adnum AND i.attgenerated <> ''
  WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid = t.attnum
  UNION ALL
  SELECT format('%s uses the rows'' type %s', pg_describe_object(d.classid, d.objid, d.objsubid), y.oid::regtype)
  FROM pg_catalog.pg_type AS y
  JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray) AND d.deptype <> 'i'
  WHERE y.oid = t.reltype
  UNION ALL
  SELECT format('index %s is not valid, or in a tablespace of its own', i.indexrelid::regclass)
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  WHERE i.indrelid = t.oid AND (NOT i.indisvalid OR c.reltablespace <> 0)
    AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid = t.attnum)
  UNION ALL
  SELECT format('CHECK %I is not enforced', k.conname)
  FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = t.oid AND k.contype = 'c' AND to_jsonb(k) ->> 'conenforced' = 'false'
  UNION ALL
  SELECT 'the column has a security label'
  WHERE EXISTS (SELECT FROM pg_catalog.pg_seclabel AS s
                WHERE s.classoid = 'pg_catalog.pg_class'::regclass AND s.objoid = t.oid AND s.objsubid = t.attnum)
  UNION ALL
  SELECT format('%s has no room for one column more', t.oid::regclass)
  WHERE t.shadow IS NULL AND (SELECT max(x.attnum) FROM pg_catalog.pg_attribute AS x WHERE x.attrelid = t.oid) >= 1600
  UNION ALL
  SELECT format('%s has a column callctl_avatar_url already', t.oid::regclass)
  FROM pg_catalog.pg_attribute AS x
  WHERE x.attrelid = t.oid AND x.attname = 'callctl_avatar_url' AND t.shadow IS NULL
) AS w(what)
UNION ALL
SELECT 'unwise', w.what, NULL, NULL, NULL
FROM t
CROSS JOIN LATERAL (
  -- A body that calls, selects or writes nothing only sets columns of NEW, which callctl puts back.
  SELECT format('trigger %I runs %s for each row that fills it, and what that does elsewhere would not be undone', f.tgname, f.function)
  FROM fills AS f
  WHERE f.lanname <> 'plpgsql'
     OR f.body ~ '\y(select|insert|update|delete|merge|perform|execute|call|notify|copy|truncate|raise|table|into|open|fetch|alter|create|drop|lock|set)\y'
     OR EXISTS (SELECT FROM regexp_matches(f.body, '([a-z_0-9.$"]+)\s*\(', 'g') AS m(called)
                WHERE m.called[1] NOT IN ('now', 'pg_catalog.now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp', 'timezone',
                                          'current_timestamp', 'coalesce', 'lower', 'upper', 'trim', 'btrim', 'nullif', 'if', 'elsif', 'and',
                                          'or', 'not', 'when', 'return', 'row', 'length', 'greatest', 'least', 'to_jsonb'))
  UNION ALL
  SELECT format('logical slot %I (%s) would decode an UPDATE of every row, and a column that its reader does not know', s.slot_name, s.plugin)
  FROM pg_catalog.pg_replication_slots AS s
  WHERE s.slot_type = 'logical' AND s.database = current_database() AND s.plugin <> 'pgoutput'
  UNION ALL
  SELECT format('%s %I is NOT VALID: a row that breaks it cannot be written, not even to fill it',
                CASE k.contype WHEN 'n' THEN 'NOT NULL constraint' ELSE 'CHECK' END, k.conname)
  FROM pg_catalog.pg_constraint AS k
  WHERE k.conrelid = t.oid AND k.contype IN ('c', 'n') AND NOT k.convalidated AND k.conname NOT LIKE 'callctl_shadow%'
) AS w(what)
