-- Definitions: the statements that make again what a step removed or redefined, such as a column with its indexes, constraints,
-- statistics objects, grants and comments.

CREATE TABLE IF NOT EXISTS callctl.definition (
  step integer NOT NULL,
  ordinal integer NOT NULL,
  relation text NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  ddl text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (step, ordinal)
);
COMMENT ON TABLE callctl.definition IS 'The statements that put back, in order, what a step removed or redefined';
COMMENT ON COLUMN callctl.definition.step IS 'The step that removed it';
COMMENT ON COLUMN callctl.definition.ordinal IS 'Order of the statements within the step';
COMMENT ON COLUMN callctl.definition.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.definition.kind IS 'type, column, default, index, after index, constraint, validate, statistics, comment, grant, setting, column setting, fillfactor, trigger, foreign key, archived table, newest row, form before or after, or shadow and one of these';
COMMENT ON COLUMN callctl.definition.name IS 'The object''s name in this database';
COMMENT ON COLUMN callctl.definition.ddl IS 'One statement, as it will run; of a foreign key or a form, what comes behind its name';
COMMENT ON COLUMN callctl.definition.detail IS 'Further facts about the object: its type, its length limit';

CREATE OR REPLACE FUNCTION callctl.write_definition(
  p_step integer, p_relation name, p_kind text, p_name name, p_ddl text, p_detail jsonb DEFAULT '{}')
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl, detail)
  SELECT p_step, coalesce(max(ordinal), 0) + 1, p_relation, p_kind, p_name, p_ddl, p_detail
  FROM callctl.definition WHERE step = p_step
$$;
COMMENT ON FUNCTION callctl.write_definition(integer, name, text, name, text, jsonb) IS
  'Adds one statement to what a step must be able to put back';

CREATE OR REPLACE FUNCTION callctl.storage_name(p_storage "char") RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE p_storage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
$$;
COMMENT ON FUNCTION callctl.storage_name("char") IS 'pg_attribute.attstorage as ALTER TABLE writes it';

CREATE OR REPLACE FUNCTION callctl.compression_name(p_compression text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE p_compression WHEN 'l' THEN 'lz4' WHEN 'p' THEN 'pglz' ELSE 'default' END
$$;
COMMENT ON FUNCTION callctl.compression_name(text) IS
  'pg_attribute.attcompression as ALTER TABLE writes it';

CREATE OR REPLACE FUNCTION callctl.as_written(p_definition text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT regexp_replace(p_definition,
    '\(ARRAY\[((?:''(?:[^'']|'''')*''::character varying(?:, )?)+)\]\)::text\[\]', 'ARRAY[\1]', 'g')
$$;
COMMENT ON FUNCTION callctl.as_written(text) IS
  'A definition in a form that PostgreSQL prints the same way again: it prints varchar IN (...) in one that it does not';

CREATE OR REPLACE FUNCTION callctl.length_limit(p_type oid, p_modifier integer) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- The modifier of a domain's column is the domain's own, or that of the domain below it.
  WITH RECURSIVE chain(oid, base, modifier) AS (
    SELECT y.oid, y.typbasetype, CASE WHEN y.typtype = 'd' THEN y.typtypmod ELSE p_modifier END FROM pg_type AS y WHERE y.oid = p_type
    UNION ALL
    SELECT y.oid, y.typbasetype, CASE WHEN y.typtype = 'd' THEN y.typtypmod ELSE chain.modifier END
      FROM chain JOIN pg_type AS y ON y.oid = chain.base
  )
  SELECT modifier - 4 FROM chain WHERE oid IN ('varchar'::regtype, 'bpchar'::regtype) AND modifier > 4
$$;
COMMENT ON FUNCTION callctl.length_limit(oid, integer) IS
  'The length limit, in characters, of a varchar or char, or of a domain over one; NULL if it has none';

CREATE OR REPLACE FUNCTION callctl.give_statistics(p_schema name, p_name name, p_owner name)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  command text := pg_catalog.format('ALTER STATISTICS %I.%I OWNER TO %I', p_schema, p_name, p_owner);
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
                  WHERE n.nspname = p_schema AND s.stxname = p_name AND pg_catalog.pg_get_userbyid(s.stxowner) = p_owner) THEN
    EXECUTE command;
  END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
  RAISE WARNING 'statistics object %.% belongs to role % now, and before to role % (%); to give it back, a superuser runs: %;',
    quote_ident(p_schema), quote_ident(p_name), current_user, p_owner, SQLERRM, command;
END
$$;
COMMENT ON FUNCTION callctl.give_statistics(name, name, name) IS
  'Gives a statistics object that was made again to the role that owned it, or says in a warning why it could not';

CREATE OR REPLACE FUNCTION callctl.run_in_tablespace(p_tablespace name, p_ddl text)
RETURNS void LANGUAGE plpgsql SET default_tablespace = '' AS $$
BEGIN
  PERFORM pg_catalog.set_config('default_tablespace', p_tablespace, true);  -- until the end of this function
  EXECUTE p_ddl;
END
$$;
COMMENT ON FUNCTION callctl.run_in_tablespace(name, text) IS
  'Runs a statement that makes an index and cannot say in which tablespace';

CREATE OR REPLACE FUNCTION callctl.name_index_columns(p_index text, p_names name[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
  pass text;
BEGIN
  -- Twice, by way of names that no column has, since one may get the name of another.
  FOREACH pass IN ARRAY ARRAY['callctl_', ''] LOOP
    FOR a IN
      SELECT x.attname, pass || CASE pass WHEN '' THEN w.name ELSE x.attnum::text END AS name
        FROM pg_attribute x JOIN unnest(p_names) WITH ORDINALITY AS w(name, attnum) ON w.attnum = x.attnum
       WHERE x.attrelid = to_regclass(p_index) AND x.attname <> w.name
       ORDER BY x.attnum
    LOOP
      EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', p_index, a.attname, a.name);
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.name_index_columns(text, name[]) IS
  'Gives the columns of an index the names that they had: those of the table''s columns when it was made, which may have been renamed since';

CREATE OR REPLACE FUNCTION callctl.index_settings(p_index oid)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH i AS (
    SELECT x.*, c.relname, c.oid::regclass AS index, x.indrelid::regclass AS on_table
      FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indexrelid = p_index
  )
  SELECT s.ddl FROM i, LATERAL (
    SELECT 1 AS place, a.attnum::integer AS number, format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', i.index, a.attnum, a.attstattarget) AS ddl
      FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND coalesce(a.attstattarget, -1) >= 0
    UNION ALL
    SELECT 2, 0, format('SELECT callctl.name_index_columns(%L, %L)', i.index, (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = i.indexrelid))
    UNION ALL
    SELECT 3, 0, format('ALTER TABLE %s CLUSTER ON %I', i.on_table, i.relname) WHERE i.indisclustered
    UNION ALL
    SELECT 4, 0, format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', i.on_table, i.relname) WHERE i.indisreplident
    UNION ALL
    SELECT 5, 0, format('ALTER INDEX %s DEPENDS ON EXTENSION %I', i.index, e.extname)
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'
    UNION ALL
    SELECT 6, 0, format('COMMENT ON INDEX %s IS %L', i.index, obj_description(i.indexrelid, 'pg_class'))
     WHERE obj_description(i.indexrelid, 'pg_class') IS NOT NULL
  ) AS s ORDER BY s.place, s.number, s.ddl
$$;
COMMENT ON FUNCTION callctl.index_settings(oid) IS
  'The statements that give an index what its definition does not say: statistics targets, names of columns, marks, comment';

CREATE OR REPLACE FUNCTION callctl.statistics_settings(p_statistics oid)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.ddl
    FROM pg_statistic_ext x,
    LATERAL (SELECT format('%s.%I', x.stxnamespace::regnamespace, x.stxname) AS name) AS n,
    LATERAL (
      SELECT 1 AS place, format('ALTER STATISTICS %s SET STATISTICS %s', n.name, to_jsonb(x) ->> 'stxstattarget') AS ddl
       WHERE (to_jsonb(x) ->> 'stxstattarget')::integer >= 0
      UNION ALL
      SELECT 2, format('COMMENT ON STATISTICS %s IS %L', n.name, obj_description(x.oid, 'pg_statistic_ext'))
       WHERE obj_description(x.oid, 'pg_statistic_ext') IS NOT NULL
      UNION ALL
      -- Last: only the owner may do the rest.
      SELECT 3, format('SELECT callctl.give_statistics(%L, %L, %L)', (SELECT nspname FROM pg_namespace WHERE oid = x.stxnamespace), x.stxname,
                       pg_get_userbyid(x.stxowner))
    ) AS s
   WHERE x.oid = p_statistics ORDER BY s.place
$$;
COMMENT ON FUNCTION callctl.statistics_settings(oid) IS
  'The statements that give a statistics object what its definition does not say: target, comment, owner';

CREATE OR REPLACE FUNCTION callctl.indexes_of(p_table regclass, p_column name)
RETURNS TABLE (index oid, constraint_oid oid) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- The index of a constraint depends on the constraint, and that on the column.
  SELECT i.indexrelid, k.oid
    FROM pg_attribute a
    JOIN pg_index i ON i.indrelid = a.attrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = a.attrelid AND k.contype IN ('u', 'x', 'p')
   WHERE a.attrelid = p_table AND a.attname = p_column
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum
                    AND (d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                         OR d.classid = 'pg_constraint'::regclass AND d.objid = k.oid))
$$;
COMMENT ON FUNCTION callctl.indexes_of(regclass, name) IS
  'The indexes that go with a column, and the constraints that they belong to';

CREATE OR REPLACE FUNCTION callctl.statistics_of(p_table regclass, p_column name)
RETURNS TABLE (statistics oid) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.oid FROM pg_attribute a JOIN pg_statistic_ext s ON s.stxrelid = a.attrelid
   WHERE a.attrelid = p_table AND a.attname = p_column
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
$$;
COMMENT ON FUNCTION callctl.statistics_of(regclass, name) IS 'The statistics objects that go with a column';

CREATE OR REPLACE FUNCTION callctl.remember_settings(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'column setting';
  PERFORM callctl.write_definition(p_step, c.relname, 'column setting', s.name, s.ddl)
     FROM pg_class c, LATERAL (
       SELECT x.relname AS name, o.ddl, o.place FROM callctl.indexes_of(p_table, p_column) AS i
         JOIN pg_class x ON x.oid = i.index, LATERAL callctl.index_settings(i.index) WITH ORDINALITY AS o(ddl, place)
       UNION ALL
       SELECT x.stxname, o.ddl, o.place FROM callctl.statistics_of(p_table, p_column) AS i
         JOIN pg_statistic_ext x ON x.oid = i.statistics, LATERAL callctl.statistics_settings(i.statistics) WITH ORDINALITY AS o(ddl, place)
     ) AS s WHERE c.oid = p_table ORDER BY s.name, s.place;
END
$$;
COMMENT ON FUNCTION callctl.remember_settings(integer, regclass, name) IS
  'Writes down, right before a column''s type is changed, what PostgreSQL does not give the indexes and statistics objects that it makes again for it';

CREATE OR REPLACE FUNCTION callctl.put_back_settings(p_step integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  d record;
BEGIN
  FOR d IN SELECT ddl FROM callctl.definition WHERE step = p_step AND kind = 'column setting' ORDER BY ordinal LOOP
    EXECUTE d.ddl;
  END LOOP;
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'column setting';
END
$$;
COMMENT ON FUNCTION callctl.put_back_settings(integer) IS
  'Runs what callctl.remember_settings() has written down, in the transaction that changes the type';

CREATE OR REPLACE FUNCTION callctl.remember_column_type(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
BEGIN
  SELECT att.*, format_type(att.atttypid, att.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS expression,
         t.typname, t.typstorage, c.relname, callctl.length_limit(att.atttypid, att.atttypmod) AS length,
         to_jsonb(att) ->> 'attcompression' AS compression,
         CASE WHEN att.attcollation <> t.typcollation
              THEN (SELECT format(' COLLATE %I.%I', n.nspname, co.collname)
                      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace
                     WHERE co.oid = att.attcollation) END AS collation
    INTO a
    FROM pg_attribute att
    JOIN pg_type t ON t.oid = att.atttypid
    JOIN pg_class c ON c.oid = att.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = att.attrelid AND d.adnum = att.attnum
   WHERE att.attrelid = p_table AND att.attname = p_column AND NOT att.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'table % has no column %', p_table, p_column USING ERRCODE = 'undefined_column';
  END IF;
  IF a.type = 'text' AND EXISTS (SELECT FROM callctl.definition WHERE step = p_step) THEN
    RETURN;  -- a second run, after the type changed: what is written down is the truth
  END IF;
  DELETE FROM callctl.definition WHERE step = p_step;
  PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
    CASE WHEN a.expression IS NULL THEN '' ELSE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT, ', p_table, p_column) END
    || CASE WHEN a.expression IS NULL THEN format('ALTER TABLE %s ', p_table) ELSE '' END
    || format('ALTER COLUMN %I TYPE %s%s', p_column, a.type, a.collation)
    || CASE WHEN a.expression IS NULL THEN '' ELSE format(', ALTER COLUMN %I SET DEFAULT %s', p_column, a.expression) END,
    jsonb_build_object('type', a.type, 'length', a.length));
  -- ALTER TYPE resets how the column is stored.
  IF a.attstorage <> a.typstorage THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_column, callctl.storage_name(a.attstorage)));
  END IF;
  IF a.compression <> '' THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', p_table, p_column, callctl.compression_name(a.compression)));
  END IF;
  PERFORM callctl.remember_settings(p_step, p_table, p_column);
END
$$;
COMMENT ON FUNCTION callctl.remember_column_type(integer, regclass, name) IS
  'Writes down a column''s type and default before a step changes the type';

CREATE OR REPLACE FUNCTION callctl.behind(p_text text, p_prefix text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT starts_with(p_text, p_prefix) THEN
    RAISE EXCEPTION 'expected "%" at the beginning of: %', p_prefix, p_text;
  END IF;
  RETURN substr(p_text, length(p_prefix) + 1);
END
$$;
COMMENT ON FUNCTION callctl.behind(text, text) IS 'A text without the prefix that it has to begin with';

CREATE OR REPLACE FUNCTION callctl.column_forms(p_table regclass, p_column name)
RETURNS TABLE (kind text, name name, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'check', k.conname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = p_column
   WHERE k.conrelid = p_table AND k.contype = 'c'
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
  UNION ALL
  SELECT 'index', c.relname, callctl.behind(pg_get_indexdef(c.oid),
           format('CREATE %sINDEX %I ON %s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname, p_table))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = p_column
   WHERE i.indrelid = p_table
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
$$;
COMMENT ON FUNCTION callctl.column_forms(regclass, name) IS
  'The CHECKs and indexes of a column, as PostgreSQL prints what comes behind their names';

CREATE OR REPLACE FUNCTION callctl.remember_forms(p_step integer, p_kind text, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = p_kind;
  PERFORM callctl.write_definition(p_step, c.relname, p_kind, f.name, f.definition, jsonb_build_object('of', f.kind))
     FROM (SELECT * FROM callctl.column_forms(p_table, p_column) ORDER BY kind, name) AS f JOIN pg_class AS c ON c.oid = p_table;
END
$$;
COMMENT ON FUNCTION callctl.remember_forms(integer, text, regclass, name) IS
  'Writes down how the CHECKs and indexes of a column are printed, before and after a step changes its type: PostgreSQL writes them otherwise for each type';

CREATE OR REPLACE FUNCTION callctl.remembered_length(p_step integer) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT (detail ->> 'length')::integer FROM callctl.definition WHERE step = p_step AND kind = 'column type' ORDER BY ordinal LIMIT 1
$$;
COMMENT ON FUNCTION callctl.remembered_length(integer) IS
  'Length limit, in characters, of the type that a step changed; NULL if it had none';

CREATE OR REPLACE FUNCTION callctl.remember_column(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
  o record;
  command text;
BEGIN
  SELECT att.attnum, att.attnotnull, att.attstorage, att.attstattarget, att.attoptions, att.attacl, att.atttypid,
         format_type(att.atttypid, att.atttypmod) AS type, t.typtype, t.typstorage, c.relname, c.relowner,
         pg_get_expr(d.adbin, d.adrelid) AS expression, to_jsonb(att) ->> 'attcompression' AS compression,
         -- From PostgreSQL 18 on NOT NULL is a constraint. One that is not valid comes later: rows with NULL come before.
         CASE WHEN NOT att.attnotnull OR n.convalidated IS FALSE THEN ''
              WHEN n.oid IS NULL THEN ' NOT NULL'
              ELSE format(' CONSTRAINT %I NOT NULL%s', n.conname, CASE WHEN n.connoinherit THEN ' NO INHERIT' ELSE '' END) END AS required,
         CASE WHEN att.attcollation <> t.typcollation
              THEN (SELECT format(' COLLATE %I.%I', n.nspname, co.collname)
                      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace
                     WHERE co.oid = att.attcollation) END AS collation
    INTO a
    FROM pg_attribute att
    JOIN pg_type t ON t.oid = att.atttypid
    JOIN pg_class c ON c.oid = att.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = att.attrelid AND d.adnum = att.attnum
    LEFT JOIN pg_constraint n ON n.conrelid = att.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[att.attnum]
   WHERE att.attrelid = p_table AND att.attname = p_column AND NOT att.attisdropped;
  IF NOT FOUND THEN
    -- Dropped already, perhaps by hand: the recorded definition is used; without one, the document's own column.
    IF NOT EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'column') THEN
      PERFORM callctl.write_definition(p_step, c.relname, 'column', p_column,
          format('ALTER TABLE %s ADD COLUMN %I character varying(50) DEFAULT ''chat''', p_table, p_column)),
        callctl.write_definition(p_step, c.relname, 'default', p_column,
          format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', p_table, p_column))
        FROM pg_class c WHERE c.oid = p_table;
    END IF;
    RETURN;
  END IF;

  DELETE FROM callctl.definition WHERE step = p_step;
  -- A constant default with the column is metadata only: every row reads as 'chat' at once, and only
  -- the others have to be written. The column's own default follows.
  PERFORM callctl.write_definition(p_step, a.relname, 'column', p_column,
    format('ALTER TABLE %s ADD COLUMN %I %s%s DEFAULT ''chat''%s', p_table, p_column, a.type, a.collation, a.required),
    jsonb_build_object('type', a.type, 'not_null', a.attnotnull, 'default', a.expression));
  PERFORM callctl.write_definition(p_step, a.relname, 'default', p_column,
    format('ALTER TABLE %s ALTER COLUMN %I ', p_table, p_column)
    || coalesce('SET DEFAULT ' || a.expression, 'DROP DEFAULT'));
  IF a.typtype = 'e' THEN
    PERFORM callctl.remember_enum(p_step, a.relname, a.atttypid);
  END IF;
  IF a.attstorage <> a.typstorage THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_column, callctl.storage_name(a.attstorage)));
  END IF;
  IF a.compression <> '' THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', p_table, p_column, callctl.compression_name(a.compression)));
  END IF;
  IF coalesce(a.attstattarget, -1) >= 0 THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', p_table, p_column, a.attstattarget));
  END IF;
  IF a.attoptions IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', p_table, p_column, array_to_string(a.attoptions, ', ')));
  END IF;

  FOR o IN
    SELECT con.conname, con.contype, con.convalidated, con.condeferrable, con.condeferred,
           callctl.as_written(pg_get_constraintdef(con.oid)) AS definition, obj_description(con.oid, 'pg_constraint') AS remark,
           ts.spcname, con.contype IN ('u', 'p') AND (to_jsonb(con) ->> 'conperiod') IS DISTINCT FROM 'true' AS by_index
      FROM pg_constraint con
      LEFT JOIN pg_class x ON x.oid = con.conindid AND con.contype IN ('u', 'x', 'p')
      LEFT JOIN pg_tablespace ts ON ts.oid = x.reltablespace
     WHERE con.conrelid = p_table AND con.contype IN ('c', 'u', 'x', 'p', 'f', 'n') AND con.conname <> 'callctl_forms_agree'
       AND EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_constraint'::regclass AND d.objid = con.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
     ORDER BY con.conname
  LOOP
    IF o.by_index THEN
      -- Its index is built concurrently, below.
      PERFORM callctl.write_definition(p_step, a.relname, 'constraint', o.conname,
        format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s%s', p_table, o.conname,
               CASE o.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, o.conname,
               CASE WHEN o.condeferrable THEN ' DEFERRABLE' ELSE '' END, CASE WHEN o.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END));
    ELSIF o.contype <> 'n' OR NOT o.convalidated THEN
      -- A CHECK or a foreign key returns unvalidated and is validated after, so that no scan happens under its lock.
      command := format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', p_table, o.conname, o.definition,
                        CASE WHEN o.contype IN ('c', 'f') AND o.convalidated THEN ' NOT VALID' ELSE '' END);
      -- PostgreSQL prints the tablespace of an exclusion constraint's index nowhere.
      PERFORM callctl.write_definition(p_step, a.relname, 'constraint', o.conname,
        CASE WHEN o.spcname IS NULL THEN command ELSE format('SELECT callctl.run_in_tablespace(%L, %L)', o.spcname, command) END,
        jsonb_build_object('tablespace', o.spcname));
    END IF;
    IF o.contype IN ('c', 'f') AND o.convalidated THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'validate', o.conname,
        format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, o.conname));
    END IF;
    IF o.remark IS NOT NULL THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'comment', o.conname,
        format('COMMENT ON CONSTRAINT %I ON %s IS %L', o.conname, p_table, o.remark));
    END IF;
  END LOOP;

  FOR o IN
    SELECT i.indexrelid, c.relname, ts.spcname, callctl.as_written(pg_get_indexdef(i.indexrelid)) AS definition,
           coalesce(callctl.as_written(' WHERE ' || pg_get_expr(i.indpred, i.indrelid)), '') AS predicate,
           k.oid IS NULL OR k.contype IN ('u', 'p') AND (to_jsonb(k) ->> 'conperiod') IS DISTINCT FROM 'true' AS concurrently
      FROM callctl.indexes_of(p_table, p_column) AS u
      JOIN pg_index i ON i.indexrelid = u.index
      JOIN pg_class c ON c.oid = i.indexrelid
      LEFT JOIN pg_constraint k ON k.oid = u.constraint_oid
      LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
     ORDER BY c.relname
  LOOP
    IF o.concurrently THEN
      -- PostgreSQL does not print the tablespace, which has its place in front of the predicate.
      PERFORM callctl.write_definition(p_step, a.relname, 'index', o.relname,
        regexp_replace(reverse(callctl.behind(reverse(o.definition), reverse(o.predicate))), '^CREATE (UNIQUE )?INDEX ', 'CREATE \1INDEX CONCURRENTLY ')
        || coalesce(' TABLESPACE ' || quote_ident(o.spcname), '') || o.predicate,
        jsonb_build_object('tablespace', o.spcname));
    END IF;
    PERFORM callctl.write_definition(p_step, a.relname, 'after index', o.relname, s.ddl) FROM callctl.index_settings(o.indexrelid) AS s;
  END LOOP;

  FOR o IN
    SELECT s.oid, s.stxname, s.stxnamespace::regnamespace AS home, pg_get_userbyid(s.stxowner) AS owner, pg_get_statisticsobjdef(s.oid) AS definition
      FROM callctl.statistics_of(p_table, p_column) AS u JOIN pg_statistic_ext s ON s.oid = u.statistics
     ORDER BY s.stxname
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'statistics', o.stxname, o.definition,
                                     jsonb_build_object('schema', o.home, 'owner', o.owner));
    PERFORM callctl.write_definition(p_step, a.relname, 'statistics', o.stxname, s.ddl) FROM callctl.statistics_settings(o.oid) AS s;
  END LOOP;

  IF col_description(p_table, a.attnum) IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'comment', p_column,
      format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_column, col_description(p_table, a.attnum)));
  END IF;

  FOR o IN
    SELECT x.privilege_type, x.is_grantable, (SELECT rolname FROM pg_roles WHERE oid = x.grantee) AS role,
           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
      FROM aclexplode(a.attacl) x
     ORDER BY 4, 1
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'grant', p_column,
      format('GRANT %s (%I) ON %s TO %s%s', o.privilege_type, p_column, p_table, o.grantee,
             CASE WHEN o.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), jsonb_build_object('role', o.role));
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.remember_column(integer, regclass, name) IS
  'Writes down a column and everything that goes with it when it is dropped: indexes, constraints, statistics objects, comments, grants';

CREATE OR REPLACE FUNCTION callctl.forget_default_privileges(p_type text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  g record;
BEGIN
  SELECT y.typacl, y.typowner INTO STRICT t FROM pg_type AS y WHERE y.oid = to_regtype(p_type);
  FOR g IN
    SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
      FROM aclexplode(t.typacl) AS x WHERE x.grantee <> t.typowner
  LOOP
    EXECUTE format('REVOKE ALL ON TYPE %s FROM %s', p_type, g.grantee);
  END LOOP;
  IF t.typacl IS NOT NULL THEN
    EXECUTE format('GRANT USAGE ON TYPE %s TO PUBLIC', p_type);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.forget_default_privileges(text) IS
  'Takes from a type just made what ALTER DEFAULT PRIVILEGES gave on it: what it had before is granted after this';

CREATE OR REPLACE FUNCTION callctl.remember_enum(p_step integer, p_relation name, p_type oid)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  g record;
BEGIN
  -- The type is dropped in step 6, whichever table used it, and so it is made again before either column. It
  -- counts as gone only when drop_unused_types() turns these into kind 'type'.
  SELECT ty.oid, format_type(ty.oid, NULL) AS name, ty.typname, pg_get_userbyid(ty.typowner) AS owner, ty.typacl,
         obj_description(ty.oid, 'pg_type') AS remark,
         (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
            FROM pg_enum e WHERE e.enumtypid = ty.oid) AS labels
    INTO t FROM pg_type ty WHERE ty.oid = p_type;
  IF EXISTS (SELECT FROM callctl.definition WHERE kind LIKE '%type' AND kind <> 'column type'
                AND detail ->> 'type' = t.name AND step <> p_step) THEN
    DELETE FROM callctl.definition WHERE kind LIKE '%type' AND kind <> 'column type'
       AND detail ->> 'type' = t.name AND step <> p_step;
  END IF;
  PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
    format('CREATE TYPE %s AS ENUM (%s)', t.name, t.labels), jsonb_build_object('type', t.name));
  PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
    format('SELECT callctl.forget_default_privileges(%L)', t.name), jsonb_build_object('type', t.name));
  PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
    format('ALTER TYPE %s OWNER TO %I', t.name, t.owner), jsonb_build_object('type', t.name, 'role', t.owner));
  IF t.remark IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
      format('COMMENT ON TYPE %s IS %L', t.name, t.remark), jsonb_build_object('type', t.name));
  END IF;
  IF t.typacl IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
      format('REVOKE ALL ON TYPE %s FROM PUBLIC', t.name), jsonb_build_object('type', t.name));
    FOR g IN
      SELECT x.privilege_type, x.is_grantable, (SELECT rolname FROM pg_roles WHERE oid = x.grantee) AS role,
             CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
        FROM aclexplode(t.typacl) x ORDER BY 4, 1
    LOOP
      PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
        format('GRANT %s ON TYPE %s TO %s%s', g.privilege_type, t.name, g.grantee,
               CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), jsonb_build_object('type', t.name, 'role', g.role));
    END LOOP;
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.remember_enum(integer, name, oid) IS
  'Writes down an enum type that a dropped column used: labels in order, owner, comment, grants';

CREATE OR REPLACE FUNCTION callctl.drop_unused_types() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT DISTINCT d.detail ->> 'type' AS name, ty.oid, ty.typarray
      FROM callctl.definition d JOIN pg_type ty ON ty.oid = to_regtype(d.detail ->> 'type')
     WHERE d.kind = 'kept type'
  LOOP
    IF EXISTS (SELECT FROM pg_depend d
                WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.deptype <> 'i')
    THEN
      RAISE WARNING 'type % stays: something else uses it', t.name;
      CONTINUE;
    END IF;
    EXECUTE format('DROP TYPE %s', t.name);
    UPDATE callctl.definition SET kind = 'type' WHERE kind = 'kept type' AND detail ->> 'type' = t.name;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.drop_unused_types() IS
  'Drops the enum types of the dropped type columns, unless something else uses them';

CREATE OR REPLACE FUNCTION callctl.leave_room(p_step integer, p_table regclass, p_growth integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  SELECT c.relname, format('%s.%I', c.relnamespace::regnamespace, c.relname) AS name, c.relkind, pg_relation_size(c.oid) / greatest(c.reltuples, 1) AS width,
         (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fillfactor
    INTO t FROM pg_class AS c WHERE c.oid = p_table;
  IF t.relkind <> 'r' OR EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor') THEN
    RETURN;
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'fillfactor', 'fillfactor',
    CASE WHEN t.fillfactor IS NULL THEN format('ALTER TABLE %s RESET (fillfactor)', t.name)
         ELSE format('ALTER TABLE %s SET (fillfactor = %s)', t.name, t.fillfactor) END);
  EXECUTE format('ALTER TABLE %s SET (fillfactor = %s)', t.name,
    least(greatest(round(100 * t.width / (2 * t.width + p_growth)), 10), coalesce(t.fillfactor::integer, 100)));
END
$$;
COMMENT ON FUNCTION callctl.leave_room(integer, regclass, integer) IS
  'Rows written from here on leave room on their page for a later version that is larger by this number of bytes, so that it needs no new index entries';

CREATE OR REPLACE FUNCTION callctl.leave_no_more_room(p_step integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  d record;
BEGIN
  FOR d IN SELECT ddl FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor' LOOP
    EXECUTE d.ddl;
  END LOOP;
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor';
END
$$;
COMMENT ON FUNCTION callctl.leave_no_more_room(integer) IS 'The fillfactor as it was before callctl.leave_room()';
