-- What the catalog says of tables and functions, a fact a row: relation (of a function its schema), kind, name, property,
-- value; all as PostgreSQL prints it, names with their quotes where they need them, whatever the search_path. 'asked' says
-- of which: {"tables": [[schema, table], ...], "functions": [[schema, name], ...]}; a null in the place of a name is every one.
-- Not included, because no step promises them: grants, comments, tablespaces, statistics targets, storage parameters of tables, the
-- order of columns, the names of NOT NULL constraints; of the platform's schema owners, too. No lock beyond ACCESS SHARE.
-- Each kind is a query of its own, so that callctl can leave out those that a check does not need.
WITH asked AS (
  SELECT '{}'::jsonb AS what
), relation AS (
  SELECT c.oid, c.relnamespace, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
         c.relispartition, c.relowner, format('%I.%I', n.nspname, c.relname) AS name, quote_ident(c.relname) AS own
  FROM asked
  CROSS JOIN LATERAL jsonb_array_elements(what -> 'tables') AS t (pair)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = t.pair ->> 0
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = coalesce(t.pair ->> 1, c.relname::text)
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT (n.nspname = 'callctl' AND EXISTS (
      SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
), hook AS (
  SELECT NULL::oid AS oid, NULL::text AS writes, NULL::text AS because
), uuid_extension AS (
  -- If the server has no gen_random_uuid() of its own (12), it is pgcrypto's, in whatever schema that is.
  SELECT format('%I.', n.nspname) AS prefix
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
  WHERE e.extname = 'pgcrypto'
), own AS (
  -- callctl's schema, and the role that most of its tables belong to: a role that took over a part is not taken for its owner.
  SELECT n.oid AS schema, n.nspname, n.nspowner, (
           SELECT mode() WITHIN GROUP (ORDER BY o.owner)
           FROM (SELECT n.nspowner AS owner
                 UNION ALL SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid AND c.relkind = 'r') AS o) AS owner
  FROM pg_catalog.pg_namespace AS n
  WHERE n.nspname = 'callctl'
), schemas AS (
  SELECT o.nspname::text AS relation, 'schema' AS kind, o.nspname::text AS name, fact.property, fact.value
  FROM own AS o,
  LATERAL (VALUES
    ('owner', CASE WHEN o.nspowner = o.owner THEN 'callctl''s owner' ELSE quote_ident(pg_get_userbyid(o.nspowner)) END),
    ('owner may', coalesce((
        SELECT 'not ' || string_agg(m.privilege, ', ') FROM (VALUES ('CREATE'), ('USAGE')) AS m (privilege)
        WHERE NOT has_schema_privilege(o.nspowner, o.schema, m.privilege)), 'everything')),
    ('callctl''s owner', quote_ident(pg_get_userbyid(o.owner)))
  ) AS fact (property, value)
), tables AS (
  SELECT r.name, 'table', r.own, fact.property, fact.value
  FROM relation AS r
  LEFT JOIN own AS o ON o.schema = r.relnamespace,
  LATERAL (VALUES
    ('is', CASE r.relkind WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a partitioned table' WHEN 'v' THEN 'a view'
                          WHEN 'm' THEN 'a materialized view' ELSE 'a foreign table' END),
    ('owner', CASE WHEN r.relowner = o.owner THEN 'callctl''s owner' WHEN o.owner IS NOT NULL THEN quote_ident(pg_get_userbyid(r.relowner)) END),
    ('owner may', CASE WHEN o.owner IS NOT NULL THEN coalesce((
        SELECT 'not ' || string_agg(m.privilege, ', ')
        FROM (VALUES ('DELETE'), ('INSERT'), ('SELECT'), ('TRUNCATE'), ('UPDATE')) AS m (privilege)
        WHERE NOT has_table_privilege(r.relowner, r.oid, m.privilege)), 'everything') END),
    ('persistence', CASE r.relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END),
    ('row security', CASE WHEN r.relrowsecurity OR r.relforcerowsecurity THEN 'on' ELSE 'off' END),
    ('replica identity', CASE r.relreplident WHEN 'n' THEN 'nothing' ELSE 'some' END),
    ('inherits', coalesce((
        SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY i.inhseqno)
        FROM pg_catalog.pg_inherits AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE i.inhrelid = r.oid), 'nothing'))
  ) AS fact (property, value)
  WHERE fact.value IS NOT NULL
), child_tables AS (
  -- Their rows are read with those of the table, and what is granted on them opens those rows.
  SELECT r.name, 'child table', format('%I.%I', n.nspname, c.relname), 'is', 'there'
  FROM relation AS r
  JOIN pg_catalog.pg_inherits AS i ON i.inhparent = r.oid
  JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid AND NOT c.relispartition
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
), foreign_keys AS (
  -- Of callctl's tables: what a foreign key of another schema points at cannot be removed any more.
  SELECT r.name, 'foreign key', format('%I.%I.%I', n.nspname, c.relname, k.conname), 'drop',
         format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname)
  FROM relation AS r
  JOIN own AS o ON o.schema = r.relnamespace
  JOIN pg_catalog.pg_constraint AS k ON k.confrelid = r.oid AND k.contype = 'f'
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid AND c.relnamespace <> r.relnamespace
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
), extensions AS (
  -- In callctl's schema, in the place of each of its parts.
  SELECT o.nspname::text, 'extension', quote_ident(e.extname), 'relocatable', CASE WHEN e.extrelocatable THEN 'yes' ELSE 'no' END
  FROM own AS o
  JOIN pg_catalog.pg_extension AS e ON e.extnamespace = o.schema
), sequences AS (
  -- Those of callctl's schema that no column owns.
  SELECT o.nspname::text, 'sequence', quote_ident(c.relname), 'is', 'there'
  FROM own AS o
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = o.schema AND c.relkind = 'S'
  WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.deptype IN ('a', 'i')
       OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), columns AS (
  SELECT r.name, 'column', quote_ident(a.attname), fact.property, fact.value
  FROM relation AS r
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum,
  LATERAL (VALUES
    ('type', format_type(a.atttypid, a.atttypmod)),
    -- From 18 on a NOT NULL may be there and not yet be true of every row.
    ('not null', CASE WHEN a.attnotnull AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS k
        WHERE k.conrelid = r.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated)
      THEN 'yes' WHEN a.attnotnull THEN 'not validated' ELSE 'no' END),
    ('default', CASE WHEN a.attgenerated = '' THEN coalesce(
        (SELECT 'gen_random_uuid()' FROM uuid_extension AS x WHERE pg_get_expr(d.adbin, d.adrelid) = x.prefix || 'gen_random_uuid()'),
        pg_get_expr(d.adbin, d.adrelid), 'none') ELSE 'none' END),
    ('generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid)
                       WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text ELSE 'no' END),
    ('collation', CASE WHEN a.attcollation <> t.typcollation THEN (
        SELECT format('%I.%I', n.nspname, l.collname) FROM pg_catalog.pg_collation AS l
        JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) ELSE 'of its type' END),
    -- How a value is compressed and moved out of the row is tuning; that it cannot be is a limit on its length.
    ('long values', CASE WHEN a.attstorage = 'p' AND t.typstorage <> 'p' THEN 'refused' ELSE 'stored' END),
    ('numbers', CASE WHEN a.attidentity <> '' THEN (
        SELECT format('START %s INCREMENT %s MINVALUE %s MAXVALUE %s%s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax,
                      CASE WHEN q.seqcycle THEN ' CYCLE' ELSE ' NO CYCLE' END)
        FROM pg_catalog.pg_depend AS e JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = e.objid
        WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.refclassid = 'pg_catalog.pg_class'::regclass AND e.deptype = 'i'
          AND e.refobjid = r.oid AND e.refobjsubid = a.attnum) END)
  ) AS fact (property, value)
  WHERE fact.value IS NOT NULL
), constraints AS (
  SELECT r.name, 'constraint', quote_ident(k.conname), fact.property, fact.value
  FROM relation AS r
  JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x', 't')
  LEFT JOIN pg_catalog.pg_class AS f ON f.oid = k.confrelid
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = f.relnamespace,
  LATERAL (VALUES
    ('definition', CASE WHEN k.contype = 'f'
        -- The table is printed without its schema where the search_path leads to it.
        THEN regexp_replace(pg_get_constraintdef(k.oid), ' REFERENCES [^(]+\(',
                            replace(format(' REFERENCES %I.%I(', n.nspname, f.relname), '\', '\\'))
        -- varchar IN (...) is printed in one form, and once that has been read again (a dump that was restored) in another.
        ELSE regexp_replace(regexp_replace(pg_get_constraintdef(k.oid),
               '\((''(?:[^'']|'''')*''::character varying)\)::text', '\1', 'g'),
               '\(ARRAY\[((?:''(?:[^'']|'''')*''::character varying(?:, )?)+)\]\)::text\[\]', 'ARRAY[\1]', 'g') END),
    ('validated', CASE WHEN k.convalidated THEN 'yes' ELSE 'no' END),
    -- NOT ENFORCED (18), or the triggers by which the server itself watches over it are switched off, on either table.
    ('enforced', CASE WHEN NOT coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) THEN 'no' ELSE coalesce((
        SELECT 'no: triggers of ' || min(format('%I.%I', m.nspname, w.relname)) || ' are off'
        FROM pg_catalog.pg_trigger AS t
        JOIN pg_catalog.pg_class AS w ON w.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace AS m ON m.oid = w.relnamespace
        WHERE t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A')
        HAVING count(*) > 0), 'yes') END)
  ) AS fact (property, value)
), indexes AS (
  SELECT r.name, 'index', quote_ident(c.relname), fact.property, fact.value
  FROM relation AS r
  JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid,
  LATERAL (VALUES
    ('definition', pg_get_indexdef(i.indexrelid)),
    ('valid', CASE WHEN i.indisvalid AND i.indisready AND i.indislive THEN 'yes' ELSE 'no' END),
    ('checked', CASE WHEN i.indisunique THEN CASE WHEN i.indimmediate THEN 'at once' ELSE 'later' END ELSE 'not unique' END)
  ) AS fact (property, value)
), triggers AS (
  SELECT r.name, 'trigger', quote_ident(t.tgname), fact.property, fact.value
  FROM relation AS r
  JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  LEFT JOIN hook AS h ON h.oid = t.oid,
  LATERAL (VALUES
    ('definition', regexp_replace(pg_get_triggerdef(t.oid), ' EXECUTE FUNCTION [^(]+\(',
                                  replace(format(' EXECUTE FUNCTION %I.%I(', n.nspname, p.proname), '\', '\\'))),
    ('enabled', CASE t.tgenabled WHEN 'O' THEN 'yes' WHEN 'A' THEN 'always' WHEN 'R' THEN 'on replicas only' ELSE 'no' END),
    ('writes', coalesce(h.writes, 'go through')),
    ('because', h.because || ' in ' || p.oid::regprocedure),
    -- INSERT is 4, DELETE 8, UPDATE 16.
    ('events', CASE t.tgtype::integer & 28 WHEN 8 THEN 'delete' ELSE 'more' END)
  ) AS fact (property, value)
  WHERE fact.value IS NOT NULL
), rules AS (
  SELECT r.name, 'rule', quote_ident(w.rulename), fact.property, fact.value
  FROM relation AS r
  JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.oid AND w.rulename <> '_RETURN',
  LATERAL (VALUES
    ('definition', pg_get_ruledef(w.oid)),
    ('writes', CASE WHEN w.is_instead AND w.ev_enabled <> 'D' THEN 'may be swallowed' ELSE 'go through' END),
    ('events', CASE w.ev_type WHEN '4' THEN 'delete' ELSE 'more' END)
  ) AS fact (property, value)
), policies AS (
  SELECT r.name, 'policy', quote_ident(p.polname), 'command', p.polcmd::text
  FROM relation AS r
  JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.oid
), functions AS (
  SELECT quote_ident(n.nspname), 'function', format('%I(%s)', p.proname, oidvectortypes(p.proargtypes)), fact.property, fact.value
  FROM asked
  CROSS JOIN LATERAL jsonb_array_elements(what -> 'functions') AS f (pair)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = f.pair ->> 0
  JOIN pg_catalog.pg_proc AS p ON p.pronamespace = n.oid AND p.proname = coalesce(f.pair ->> 1, p.proname::text)
  JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
  LEFT JOIN own AS o ON o.schema = p.pronamespace,
  LATERAL (VALUES
    ('owner', CASE WHEN p.proowner = o.owner THEN 'callctl''s owner' WHEN o.owner IS NOT NULL THEN quote_ident(pg_get_userbyid(p.proowner)) END),
    ('owner may', CASE WHEN has_function_privilege(p.proowner, p.oid, 'EXECUTE') AND o.owner IS NOT NULL THEN 'everything'
                       WHEN o.owner IS NOT NULL THEN 'not EXECUTE' END),
    -- Of a procedure, PostgreSQL prints IN from version 14 on.
    ('arguments', regexp_replace(pg_get_function_arguments(p.oid), '(^|, )IN ', '\1', 'g')),
    ('returns', pg_get_function_result(p.oid)),
    ('language', l.lanname::text),
    ('volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END),
    ('called on null', CASE WHEN p.proisstrict THEN 'no' ELSE 'yes' END),
    ('runs as', CASE WHEN p.prosecdef THEN 'its owner' ELSE 'its caller' END),
    ('settings', coalesce(array_to_string(p.proconfig, '; '), 'none')),
    ('parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END),
    ('body', p.prosrc),
    -- For a function that was there before: it is the platform's own, but the new tables rely on what it does.
    ('sets updated_at', CASE WHEN p.proname = 'update_updated_at_column' THEN
        CASE WHEN l.lanname NOT IN ('plpgsql', 'sql') OR p.prosrc ~* '\mnew\s*\.\s*"?updated_at"?\s*:?=' THEN 'yes' ELSE 'no' END END)
  ) AS fact (property, value)
  WHERE fact.value IS NOT NULL
    AND (o.owner IS NULL OR NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
)
-- The first one names the columns.
SELECT * FROM schemas
UNION ALL SELECT * FROM tables
UNION ALL SELECT * FROM child_tables
UNION ALL SELECT * FROM foreign_keys
UNION ALL SELECT * FROM extensions
UNION ALL SELECT * FROM sequences
UNION ALL SELECT * FROM columns
UNION ALL SELECT * FROM constraints
UNION ALL SELECT * FROM indexes
UNION ALL SELECT * FROM triggers
UNION ALL SELECT * FROM rules
UNION ALL SELECT * FROM policies
UNION ALL SELECT * FROM functions
