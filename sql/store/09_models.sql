-- Model rows: what seed-models wrote, the rows that a rollback takes away and the next migrate up brings back, and the models
-- that are inactive for as long as a type column waits to be dropped.

CREATE TABLE IF NOT EXISTS callctl.saved_row (
  relation text NOT NULL,
  row_id uuid NOT NULL,
  contents jsonb NOT NULL,
  saved_at timestamp with time zone NOT NULL DEFAULT now(),
  superseded_at timestamp with time zone,
  PRIMARY KEY (relation, row_id)
);
COMMENT ON TABLE callctl.saved_row IS 'Whole rows that a down took away; the next up brings them back as they were';
COMMENT ON COLUMN callctl.saved_row.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.saved_row.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.saved_row.contents IS 'The row, every column';
COMMENT ON COLUMN callctl.saved_row.saved_at IS 'Time of removal';
COMMENT ON COLUMN callctl.saved_row.superseded_at IS 'Time at which callctl found another row under its key; the row stays until purge and is never restored';

CREATE TABLE IF NOT EXISTS callctl.seeded_model (
  model_id uuid PRIMARY KEY,
  contents jsonb NOT NULL,
  seeded_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.seeded_model IS
  'Values that seed-models last wrote into each model: an equal field is the catalog''s, any other field an administrator''s';
COMMENT ON COLUMN callctl.seeded_model.model_id IS 'Primary key of the model';
COMMENT ON COLUMN callctl.seeded_model.contents IS 'The fields that it wrote, in the names and units of the catalog';
COMMENT ON COLUMN callctl.seeded_model.seeded_at IS 'Time of the last write';

CREATE TABLE IF NOT EXISTS callctl.withheld_model (
  model_id uuid PRIMARY KEY,
  contents jsonb NOT NULL,
  withheld_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.withheld_model IS
  'Models that callctl inserted while a type column waits to be dropped, and made inactive. Step 6 makes those active that are stored as they were left';
COMMENT ON COLUMN callctl.withheld_model.model_id IS 'Primary key of the model';
COMMENT ON COLUMN callctl.withheld_model.contents IS 'The row as callctl left it, every column, times in UTC';
COMMENT ON COLUMN callctl.withheld_model.withheld_at IS 'Time at which callctl made the model inactive';

CREATE OR REPLACE FUNCTION callctl.rows_referring_to(p_table regclass, p_row uuid)
RETURNS TABLE (constraint_name name, referring_table text, referring_rows bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  k record;
BEGIN
  FOR k IN
    SELECT con.conname, con.conrelid::regclass AS child, a.attname AS child_column, r.attname AS parent_column
      FROM pg_constraint con
      JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = con.conkey[1]
      JOIN pg_attribute r ON r.attrelid = con.confrelid AND r.attnum = con.confkey[1]
     WHERE con.contype = 'f' AND con.confrelid = p_table AND con.conparentid = 0 AND cardinality(con.conkey) = 1
  LOOP
    EXECUTE format('SELECT count(*) FROM %s c JOIN %s p ON c.%I = p.%I WHERE p.id = $1',
                   k.child, p_table, k.child_column, k.parent_column)
       INTO referring_rows USING p_row;
    IF referring_rows > 0 THEN
      constraint_name := k.conname;
      referring_table := k.child::text;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.rows_referring_to(regclass, uuid) IS
  'Returns the foreign keys that still point at a row, and the number of their rows';

CREATE OR REPLACE FUNCTION callctl.row_as_stored(p_table regclass, p_row uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
  contents jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(t) FROM %s AS t WHERE t.id = $1', p_table) INTO contents USING p_row;
  RETURN contents;
END
$$;
COMMENT ON FUNCTION callctl.row_as_stored(regclass, uuid) IS 'A row, every column, times in UTC; NULL if it does not exist';

CREATE OR REPLACE FUNCTION callctl.is_as_left(p_table regclass, p_row uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- A column that was added or dropped since is no write of the row.
  SELECT coalesce(bool_and(stored.value = written.value), false)
    FROM callctl.withheld_model AS w,
         jsonb_each(w.contents) AS written,
         jsonb_each(callctl.row_as_stored(p_table, p_row)) AS stored
   WHERE w.model_id = p_row AND stored.key = written.key
$$;
COMMENT ON FUNCTION callctl.is_as_left(regclass, uuid) IS
  'Whether a model that callctl made inactive is stored, in every column, as callctl left it; false if it made none inactive';

CREATE OR REPLACE FUNCTION callctl.active_column(p_table regclass) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.attname FROM pg_attribute AS a
   WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.atttypid = 'boolean'::regtype
     AND lower(replace(a.attname, '_', '')) = 'isactive'
   ORDER BY a.attname <> 'is_active', a.attnum LIMIT 1
$$;
COMMENT ON FUNCTION callctl.active_column(regclass) IS
  'The boolean column that says whether an application offers a row: is_active, in any spelling; NULL if there is none';

CREATE OR REPLACE FUNCTION callctl.put_away_row(p_table regclass, p_relation text, p_row uuid)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  u record;
  hit integer;
  still_there boolean;
  active name := callctl.active_column(p_table);
  owed jsonb := '{}';
BEGIN
  FOR u IN SELECT * FROM callctl.rows_referring_to(p_table, p_row) LOOP
    RAISE EXCEPTION 'row % of % is still used: % row(s) of % refer to it through %',
      p_row, p_table, u.referring_rows, u.referring_table, u.constraint_name
      USING ERRCODE = 'foreign_key_violation', CONSTRAINT = u.constraint_name;
  END LOOP;
  IF active IS NOT NULL AND callctl.is_as_left(p_table, p_row) THEN
    owed := jsonb_build_object(active, true);  -- it is inactive for as long as the type column waits, and no longer
  END IF;
  EXECUTE format(
    'INSERT INTO callctl.saved_row (relation, row_id, contents)
     SELECT %L, t.id, to_jsonb(t) || $2 FROM %s t WHERE t.id = $1
     ON CONFLICT (relation, row_id) DO UPDATE SET contents = EXCLUDED.contents, saved_at = now(), superseded_at = NULL',
    p_relation, p_table) USING p_row, owed;
  EXECUTE format('DELETE FROM %s WHERE id = $1', p_table) USING p_row;
  GET DIAGNOSTICS hit = ROW_COUNT;
  EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE id = $1)', p_table) INTO still_there USING p_row;
  IF still_there THEN
    RAISE EXCEPTION 'row % of % was not deleted when it was told to be: %', p_row, p_table, callctl.in_the_way(p_table);
  END IF;
  DELETE FROM callctl.withheld_model WHERE model_id = p_row;
  RETURN hit;
END
$$;
COMMENT ON FUNCTION callctl.put_away_row(regclass, text, uuid) IS
  'Saves and deletes one row that callctl inserted; refuses, naming it, where a foreign key still uses it';

CREATE OR REPLACE FUNCTION callctl.put_away_made_rows(p_step integer, p_table regclass)
RETURNS integer LANGUAGE sql AS $$
  SELECT coalesce(sum(callctl.put_away_row(p_table, m.relation, m.name::uuid)), 0)::integer
    FROM callctl.made AS m WHERE m.step = p_step AND m.kind = 'row'
$$;
COMMENT ON FUNCTION callctl.put_away_made_rows(integer, regclass) IS
  'Saves and deletes the rows that a step inserted; refuses, naming it, where a foreign key still uses one';

CREATE OR REPLACE FUNCTION callctl.bring_back_rows(p_table regclass, p_key name)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  s record;
  columns text;
  taken boolean;
  changed boolean;
  returned integer := 0;
BEGIN
  FOR s IN
    SELECT r.* FROM callctl.saved_row r JOIN pg_class c ON c.oid = p_table AND c.relname = r.relation
     WHERE r.superseded_at IS NULL ORDER BY r.saved_at, r.row_id
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE id = $1 OR %I::text = $2)', p_table, p_key)
       INTO taken USING s.row_id, s.contents ->> p_key;
    IF taken THEN
      UPDATE callctl.saved_row SET superseded_at = now() WHERE relation = s.relation AND row_id = s.row_id;
      DELETE FROM callctl.made WHERE kind = 'row' AND relation = s.relation AND name = s.row_id::text;
      CONTINUE;
    END IF;
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
      FROM pg_attribute a
     WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
       AND s.contents ? a.attname;
    EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1)',
                   p_table, columns) USING s.contents;
    EXECUTE format('SELECT (SELECT to_jsonb(r) FROM (SELECT %2$s FROM %1$s WHERE id = $1) AS r)
                       IS DISTINCT FROM (SELECT to_jsonb(r) FROM (SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $2)) AS r)',
                   p_table, columns) INTO changed USING s.row_id, s.contents;
    IF changed THEN
      RAISE EXCEPTION 'row % of % is not stored as it was put away: %', s.row_id, p_table, callctl.in_the_way(p_table);
    END IF;
    DELETE FROM callctl.saved_row WHERE relation = s.relation AND row_id = s.row_id;
    returned := returned + 1;
  END LOOP;
  RETURN returned;
END
$$;
COMMENT ON FUNCTION callctl.bring_back_rows(regclass, name) IS
  'Inserts saved rows again as they were; one whose key was taken meanwhile is marked superseded';

CREATE OR REPLACE FUNCTION callctl.withhold_model(p_table regclass, p_row uuid)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  active name := callctl.active_column(p_table);
  is_active boolean;
BEGIN
  IF active IS NULL THEN
    PERFORM callctl.put_away_row(p_table, 'ai_models', p_row);
    RETURN;
  END IF;
  EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING p_row;
  IF is_active IS NOT TRUE THEN
    RETURN;  -- no application offers it anyway
  END IF;
  EXECUTE format('UPDATE %s SET %I = false WHERE id = $1', p_table, active) USING p_row;
  EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING p_row;
  IF is_active IS DISTINCT FROM false THEN
    RAISE EXCEPTION 'row % of % was not made inactive when it was told to be: %', p_row, p_table, callctl.in_the_way(p_table);
  END IF;
  INSERT INTO callctl.withheld_model AS w (model_id, contents) VALUES (p_row, callctl.row_as_stored(p_table, p_row))
  ON CONFLICT (model_id) DO UPDATE SET contents = EXCLUDED.contents, withheld_at = now();
END
$$;
COMMENT ON FUNCTION callctl.withhold_model(regclass, uuid) IS
  'Keeps a model from being offered while a type column waits to be dropped: makes it inactive, or where the table cannot say so, moves it to callctl.saved_row';

CREATE OR REPLACE FUNCTION callctl.release_models(p_table regclass, p_key name)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  w record;
  active name := callctl.active_column(p_table);
  key text;
  is_active boolean;
  released integer := 0;
BEGIN
  FOR w IN SELECT model_id FROM callctl.withheld_model ORDER BY withheld_at, model_id LOOP
    -- Locked first, so that it is compared as it is when it is written.
    EXECUTE format('SELECT %I::text FROM %s WHERE id = $1 FOR NO KEY UPDATE', p_key, p_table) INTO key USING w.model_id;
    IF key IS NOT NULL AND active IS NOT NULL THEN
      IF callctl.is_as_left(p_table, w.model_id) THEN
        EXECUTE format('UPDATE %s SET %I = true WHERE id = $1', p_table, active) USING w.model_id;
        EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING w.model_id;
        IF is_active IS NOT TRUE THEN
          RAISE EXCEPTION 'row % of % was not made active when it was told to be: %', w.model_id, p_table, callctl.in_the_way(p_table);
        END IF;
        released := released + 1;
      ELSE
        EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING w.model_id;
        IF is_active IS NOT TRUE THEN
          RAISE WARNING 'model % stays inactive: it was changed after callctl inserted it', key;
        END IF;
      END IF;
    END IF;
    DELETE FROM callctl.withheld_model WHERE model_id = w.model_id;
  END LOOP;
  RETURN released;
END
$$;
COMMENT ON FUNCTION callctl.release_models(regclass, name) IS
  'Makes the models active that callctl.withhold_model() made inactive and that are stored as it left them; the others stay as they are';
