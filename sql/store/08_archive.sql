-- The new tables (steps 9 to 11) and their archive: a rollback moves a table with its rows into this schema, where its foreign
-- keys follow the platform's rows, and the next migrate up brings it back.

CREATE OR REPLACE FUNCTION callctl.keys_that_refuse(p_table regclass)
RETURNS TABLE (relation name, name name, definition text, detail jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.relname, k.conname, pg_get_constraintdef(k.oid),
         jsonb_build_object('validated', k.convalidated, 'comment', obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_class AS r ON r.oid = k.confrelid
   WHERE k.conrelid = p_table AND k.contype = 'f' AND k.confupdtype = 'a'
     AND r.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
   ORDER BY k.conname
$$;
COMMENT ON FUNCTION callctl.keys_that_refuse(regclass) IS
  'The foreign keys of a table that refuse to let a row of the platform''s change its primary key';

CREATE OR REPLACE FUNCTION callctl.remember_keys(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM callctl.write_definition(p_step, k.relation, 'foreign key', k.name, k.definition, k.detail)
     FROM callctl.keys_that_refuse(p_table) AS k
    -- Written down once: in a second run some follow already.
    WHERE NOT EXISTS (SELECT FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'foreign key' AND d.name = k.name);
END
$$;
COMMENT ON FUNCTION callctl.remember_keys(integer, regclass) IS
  'Writes down the foreign keys by which a table that is going to be archived refers to the platform''s tables';

CREATE OR REPLACE FUNCTION callctl.key_statements(p_table regclass, p_name name, p_definition text, p_detail jsonb)
RETURNS TABLE (ddl text) LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I, ADD CONSTRAINT %I %s NOT VALID', p_table, p_name, p_name,
                regexp_replace(p_definition, ' NOT VALID$', ''))
  UNION ALL
  SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', p_name, p_table, p_detail ->> 'comment')
   WHERE p_detail ->> 'comment' IS NOT NULL
$$;
COMMENT ON FUNCTION callctl.key_statements(regclass, name, text, jsonb) IS
  'The statements that make a foreign key again, by this definition';

CREATE OR REPLACE FUNCTION callctl.let_keys_follow(p_table regclass)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.ddl FROM callctl.keys_that_refuse(p_table) AS k,
    LATERAL callctl.key_statements(p_table, k.name,
      regexp_replace(k.definition, '(REFERENCES [^(]+\([^)]*\)( MATCH FULL)?)', '\1 ON UPDATE CASCADE'), k.detail) AS s
$$;
COMMENT ON FUNCTION callctl.let_keys_follow(regclass) IS
  'The statements that make a table''s foreign keys follow changed primary keys while it is archived';

CREATE OR REPLACE FUNCTION callctl.let_keys_refuse(p_step integer, p_table regclass)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.ddl FROM callctl.definition AS d, LATERAL callctl.key_statements(p_table, d.name, d.ddl, d.detail) AS s
   WHERE d.step = p_step AND d.kind = 'foreign key' AND p_table IS NOT NULL
   ORDER BY d.ordinal
$$;
COMMENT ON FUNCTION callctl.let_keys_refuse(integer, regclass) IS
  'The statements that make an archived table''s foreign keys again as callctl.remember_keys() has written them down';

CREATE OR REPLACE FUNCTION callctl.key_validations(p_step integer, p_table regclass)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, d.name)
    FROM callctl.definition AS d
    JOIN pg_constraint AS k ON k.conrelid = p_table AND k.conname = d.name AND NOT k.convalidated
   WHERE d.step = p_step AND d.kind = 'foreign key' AND (d.detail ->> 'validated')::boolean
   ORDER BY d.ordinal
$$;
COMMENT ON FUNCTION callctl.key_validations(integer, regclass) IS
  'The statements that validate the foreign keys that were valid when they were written down';

CREATE OR REPLACE FUNCTION callctl.remember_trigger(p_step integer, p_table regclass, p_trigger name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'trigger';
  SELECT g.oid, g.tgenabled, c.relname, format('%s.%I', c.relnamespace::regnamespace, c.relname) AS name
    INTO t FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid WHERE g.tgrelid = p_table AND g.tgname = p_trigger;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger, pg_get_triggerdef(t.oid));
  IF t.tgenabled <> 'O' THEN
    PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger, format('ALTER TABLE %s %s TRIGGER %I', t.name,
      CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, p_trigger));
  END IF;
  IF obj_description(t.oid, 'pg_trigger') IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger,
      format('COMMENT ON TRIGGER %I ON %s IS %L', p_trigger, t.name, obj_description(t.oid, 'pg_trigger')));
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger,
      format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION %I', p_trigger, t.name, e.extname))
     FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x';
END
$$;
COMMENT ON FUNCTION callctl.remember_trigger(integer, regclass, name) IS
  'Writes down a trigger of a table that is going to be archived, which goes so that the function it runs can go';

CREATE OR REPLACE FUNCTION callctl.remember_newest(p_step integer, p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
  newest timestamp;
BEGIN
  EXECUTE format('SELECT max((to_jsonb(t) ->> ''created_at'')::timestamp) FROM %s AS t', p_table) INTO newest;
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'newest row';
  PERFORM callctl.write_definition(p_step, c.relname, 'newest row', 'created_at', '', jsonb_build_object('newest', newest))
     FROM pg_class AS c WHERE c.oid = p_table;
END
$$;
COMMENT ON FUNCTION callctl.remember_newest(integer, regclass) IS
  'Writes down the latest created_at of a table''s rows (in UTC, if the column has a time zone), by which a later row is known even where the server''s clock was set back';

CREATE OR REPLACE FUNCTION callctl.table_shape(p_table regclass) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- Casts and brackets are left out: PostgreSQL prints an expression with others of them once it has read it again. So is the
  -- schema of the three tables, which are archived one by one.
  SELECT jsonb_object_agg(o.object, regexp_replace(
           regexp_replace(o.definition, '[^ .(]+\.(integration_accounts|calls|call_transcripts)\M', '\1', 'g'),
           '::(character varying|[a-z ]+)(\[\])?|[()\[\]]', '', 'g'))
    FROM (
      SELECT 'row security' AS object, CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'on' ELSE 'off' END AS definition
        FROM pg_class AS c WHERE c.oid = p_table
      UNION ALL
      SELECT 'column ' || quote_ident(a.attname),
             concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                       CASE WHEN d.oid IS NOT NULL THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END, nullif(a.attgenerated::text, ''))
        FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT 'constraint ' || quote_ident(k.conname), pg_get_constraintdef(k.oid)
        FROM pg_constraint AS k WHERE k.conrelid = p_table AND k.contype IN ('c', 'f', 'p', 'u', 'x')
      UNION ALL
      SELECT 'index ' || quote_ident(c.relname), pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = p_table
      UNION ALL
      SELECT 'trigger ' || quote_ident(t.tgname), concat(pg_get_triggerdef(t.oid), ' ', t.tgenabled)
        FROM pg_trigger AS t WHERE t.tgrelid = p_table AND NOT t.tgisinternal
      UNION ALL
      SELECT 'rule ' || quote_ident(r.rulename), pg_get_ruledef(r.oid) FROM pg_rewrite AS r WHERE r.ev_class = p_table
      UNION ALL
      SELECT 'policy ' || quote_ident(p.polname),
             concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
        FROM pg_policy AS p WHERE p.polrelid = p_table
    ) AS o
$$;
COMMENT ON FUNCTION callctl.table_shape(regclass) IS
  'The columns, constraints, indexes, triggers, rules, policies and row security of a table, each with its definition';

CREATE OR REPLACE FUNCTION callctl.remember_archived(p_step integer, p_table regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'archived table';
  SELECT callctl.write_definition(p_step, c.relname, 'archived table', c.relname, '', callctl.table_shape(c.oid))
    FROM pg_class AS c WHERE c.oid = p_table;
$$;
COMMENT ON FUNCTION callctl.remember_archived(integer, regclass) IS
  'Writes down that a table is archived, and as what';

CREATE OR REPLACE FUNCTION callctl.archive_changes()
RETURNS TABLE (step integer, relation text, object text, archived_as text, is_now text, statement text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT d.step, format('callctl.%I', d.name), coalesce(o.object, 'the table'),
         CASE WHEN t.oid IS NULL THEN 'a table' ELSE d.detail ->> o.object END, now.shape ->> o.object,
         CASE
           WHEN t.oid IS NULL THEN (
             SELECT format('ALTER TABLE %s SET SCHEMA callctl;', c.oid::regclass) FROM pg_class AS c
              WHERE c.relname = d.name AND c.relkind = 'r' AND callctl.table_shape(c.oid) = d.detail ORDER BY c.oid LIMIT 1)
           WHEN o.object = 'row security' THEN format('ALTER TABLE %s %s ROW LEVEL SECURITY;', t.oid, CASE d.detail ->> o.object
             WHEN 'off' THEN 'NO FORCE ROW LEVEL SECURITY, DISABLE' WHEN 'on' THEN 'ENABLE ROW LEVEL SECURITY, NO FORCE' ELSE 'ENABLE ROW LEVEL SECURITY, FORCE' END)
           WHEN d.detail ? o.object THEN NULL
           WHEN o.object ~ '^(trigger|rule|policy) ' THEN format('DROP %s ON %s;', regexp_replace(o.object, '^\w+', upper(split_part(o.object, ' ', 1))), t.oid)
           WHEN o.object ~ '^constraint ' THEN format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s;', t.oid, substr(o.object, 12))
           WHEN o.object ~ '^index ' AND NOT now.shape ? ('constraint ' || substr(o.object, 7)) THEN format('DROP INDEX callctl.%s;', substr(o.object, 7))
         END
    FROM callctl.definition AS d
    CROSS JOIN LATERAL (SELECT to_regclass(format('callctl.%I', d.name)) AS oid) AS t
    CROSS JOIN LATERAL (SELECT callctl.table_shape(t.oid) AS shape) AS now
    LEFT JOIN LATERAL (SELECT jsonb_object_keys(d.detail || now.shape) AS object) AS o ON t.oid IS NOT NULL
   WHERE d.kind = 'archived table' AND (t.oid IS NULL OR (d.detail -> o.object) IS DISTINCT FROM (now.shape -> o.object))
   ORDER BY 1, 3
$$;
COMMENT ON FUNCTION callctl.archive_changes() IS
  'Returns the changes of a table since it was archived, and the statement that removes an addition';

CREATE OR REPLACE FUNCTION callctl.assert_not_archived(p_step integer, p_table name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF to_regclass(format('callctl.%I', p_table)) IS NOT NULL THEN
    RAISE EXCEPTION 'callctl.% is archived, with its rows: step % brings it back by return.sql, in place of up.sql', p_table, p_step;
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.assert_not_archived(integer, name) IS
  'Raises an exception where a table that a step would make is archived';

CREATE OR REPLACE FUNCTION callctl.drop_unfinished_table(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  used boolean;
BEGIN
  IF p_table IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
  EXECUTE format('SELECT EXISTS (SELECT FROM %s)', p_table) INTO used;
  IF used THEN
    RAISE EXCEPTION '% holds rows that were written before step % was finished: it cannot be dropped', p_table, p_step;
  END IF;
  EXECUTE format('DROP TABLE %s', p_table);
END
$$;
COMMENT ON FUNCTION callctl.drop_unfinished_table(integer, regclass) IS
  'Drops the table of a step that stopped half way up; refuses where a row was written into it';

CREATE OR REPLACE FUNCTION callctl.protect_new_table(p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  wanted text := coalesce(nullif(current_setting('callctl.new_tables_row_security', true), ''), 'inherit');
BEGIN
  IF wanted = 'on' OR wanted = 'inherit' AND EXISTS (
       SELECT FROM pg_class AS made
       JOIN pg_class AS c ON c.relnamespace = made.relnamespace AND c.relname IN ('chatbots', 'companies') AND c.relrowsecurity
       WHERE made.oid = p_table) THEN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.protect_new_table(regclass) IS
  'Enables row-level security on a table just made where chatbots or companies has it, or as callctl.new_tables_row_security says: inherit, on or off';

CREATE OR REPLACE FUNCTION callctl.add_missing_constraint(p_table regclass, p_name name, p_definition text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = p_table AND conname = p_name) THEN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', p_table, p_name, p_definition);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.add_missing_constraint(regclass, name, text) IS
  'Adds a constraint unless the table has one of that name: a table back from the archive has it already';
