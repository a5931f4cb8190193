-- Columns, functions and rows that callctl creates where it might find them: a rollback removes these, and leaves what was found.

CREATE TABLE IF NOT EXISTS callctl.made (
  step integer NOT NULL,
  kind text NOT NULL CHECK (kind IN ('column', 'function', 'row')),
  relation text NOT NULL,
  name text NOT NULL,
  made_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (kind, relation, name)
);
COMMENT ON TABLE callctl.made IS 'Objects that callctl created and could also have found: down removes the created ones and leaves the others';
COMMENT ON COLUMN callctl.made.step IS 'The step that made it';
COMMENT ON COLUMN callctl.made.kind IS 'column, function or row';
COMMENT ON COLUMN callctl.made.relation IS 'The table, by its documented name; for a function, its schema';
COMMENT ON COLUMN callctl.made.name IS 'Name of the column or function; primary key of the row';
COMMENT ON COLUMN callctl.made.made_at IS 'Time of creation';

CREATE OR REPLACE FUNCTION callctl.remember_missing_columns(p_step integer, p_table regclass, VARIADIC p_columns name[])
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO callctl.made (step, kind, relation, name)
  SELECT p_step, 'column', c.relname, wanted
    FROM unnest(p_columns) AS wanted CROSS JOIN pg_class c
   WHERE c.oid = p_table
     AND NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = p_table AND a.attname = wanted AND NOT a.attisdropped)
  ON CONFLICT (kind, relation, name) DO NOTHING
$$;
COMMENT ON FUNCTION callctl.remember_missing_columns(integer, regclass, name[]) IS
  'Remembers which columns a step is about to add, as opposed to those it finds';

CREATE OR REPLACE FUNCTION callctl.save_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT m.relation, m.name, pg_get_expr(d.adbin, d.adrelid) AS expression
      FROM callctl.made m
      JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = m.name AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE m.step = p_step AND m.kind = 'column'
  LOOP
    EXECUTE format(
      'INSERT INTO callctl.saved_value (ai_model_id, field, saved_by, value, left_there)
       SELECT id, %L, ''down'', to_jsonb(%I), NULL FROM %s WHERE %I IS DISTINCT FROM %s
       ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
       DO UPDATE SET value = EXCLUDED.value, saved_at = now()',
      c.name, c.name, p_table, c.name, coalesce(c.expression, 'NULL'));
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.save_made_columns(integer, regclass) IS
  'Saves what others wrote into columns that a step made, before they go';

CREATE OR REPLACE FUNCTION callctl.drop_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT name FROM callctl.made WHERE step = p_step AND kind = 'column' ORDER BY name LOOP
    EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS %I', p_table, c.name);
  END LOOP;
  DELETE FROM callctl.made WHERE step = p_step AND kind = 'column';
END
$$;
COMMENT ON FUNCTION callctl.drop_made_columns(integer, regclass) IS
  'Drops the columns that a step made; refuses, naming it, where something else depends on one';

CREATE OR REPLACE FUNCTION callctl.put_back_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT m.relation, m.name, pg_get_expr(d.adbin, d.adrelid) AS expression
      FROM callctl.made m
      JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = m.name AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE m.step = p_step AND m.kind = 'column'
  LOOP
    EXECUTE format(
      'WITH back AS (
         UPDATE %1$s t SET %2$I = r.%2$I
           FROM callctl.saved_value s, jsonb_populate_record(NULL::%1$s, jsonb_build_object(%2$L, s.value)) AS r
          WHERE s.relation = %3$L AND s.field = %2$L AND s.saved_by = ''down'' AND s.superseded_at IS NULL
            AND t.id = s.row_id AND t.%2$I IS NOT DISTINCT FROM %4$s
         RETURNING s.id, t.%2$I IS NOT DISTINCT FROM r.%2$I AS as_saved)
       DELETE FROM callctl.saved_value s USING back WHERE s.id = back.id AND back.as_saved',
      p_table, c.name, c.relation, coalesce(c.expression, 'NULL'));
    UPDATE callctl.saved_value SET superseded_at = now()
     WHERE relation = c.relation AND field = c.name AND saved_by = 'down' AND superseded_at IS NULL;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.put_back_made_columns(integer, regclass) IS
  'Puts what others had written back into columns that a step has made again';

CREATE OR REPLACE FUNCTION callctl.make_touch_function(p_step integer, p_schema regnamespace)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF to_regprocedure(format('%s.update_updated_at_column()', p_schema)) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format(
    'CREATE FUNCTION %s.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
     $function$ BEGIN NEW.updated_at := now(); RETURN NEW; END $function$', p_schema);
  INSERT INTO callctl.made (step, kind, relation, name)
  VALUES (p_step, 'function', p_schema::text, 'update_updated_at_column') ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION callctl.make_touch_function(integer, regnamespace) IS
  'Creates update_updated_at_column() where the platform has none, and remembers having done so';

CREATE OR REPLACE FUNCTION callctl.drop_made_function(p_step integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  f record;
BEGIN
  FOR f IN
    SELECT m.relation, m.name, to_regprocedure(m.relation || '.' || quote_ident(m.name) || '()') AS function
      FROM callctl.made m WHERE m.step = p_step AND m.kind = 'function'
  LOOP
    IF EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = f.function) THEN
      RAISE WARNING 'function % stays: something else uses it now', f.function;
      CONTINUE;  -- and it remains remembered as made
    END IF;
    IF f.function IS NOT NULL THEN  -- it may have been dropped already
      EXECUTE format('DROP FUNCTION %s', f.function);
    END IF;
    DELETE FROM callctl.made WHERE step = p_step AND kind = 'function' AND name = f.name;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.drop_made_function(integer) IS
  'Drops the function that a step made, unless something else has come to use it';
