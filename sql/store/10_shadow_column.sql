-- A shadow column: a column gets its old type back beside the old one, without a rewrite under a lock
-- (docs/explanation/decisions/0023-the-shadow-column.md).

CREATE OR REPLACE FUNCTION callctl.column_facts(p_table regclass, p_column name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH a AS (
    SELECT * FROM pg_attribute WHERE attrelid = p_table AND attname = p_column AND NOT attisdropped
  )
  SELECT string_agg(f.fact, E'\n' ORDER BY f.fact COLLATE "C") FROM (
    SELECT format('column %s', to_jsonb(a) - ARRAY['attnum', 'attcacheoff', 'atthasmissing', 'attmissingval']
             || jsonb_build_object('default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                                                WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
                                   'comment', col_description(a.attrelid, a.attnum))) AS fact
      FROM a
    UNION ALL
    SELECT concat_ws(' ', pg_describe_object(d.classid, d.objid, d.objsubid), pg_get_indexdef(i.indexrelid), i.indisvalid,
                     (SELECT string_agg(x.ddl, ' ') FROM callctl.index_settings(i.indexrelid) AS x),
                     pg_get_constraintdef(k.oid), pg_get_statisticsobjdef(s.oid),
                     (SELECT string_agg(x.ddl, ' ') FROM callctl.statistics_settings(s.oid) AS x), s.stxowner,
                     obj_description(d.objid, c.relname))
      FROM a
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      JOIN pg_class c ON c.oid = d.classid
      LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
      LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
      LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid
     WHERE k.conname IS DISTINCT FROM 'callctl_shadow_agrees' AND d.classid <> 'pg_attrdef'::regclass
  ) AS f
$$;
COMMENT ON FUNCTION callctl.column_facts(regclass, name) IS
  'Returns the catalog''s facts about a column and its dependents, for a later comparison';

CREATE OR REPLACE FUNCTION callctl.shadow_check(p_column name, p_shadow name, p_length integer) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  -- A CHECK passes on NULL: IS TRUE says that it does not here. COLLATE "C" compares the bytes.
  SELECT format('CONSTRAINT callctl_shadow_agrees CHECK ((%2$I::text COLLATE "C" IS NOT DISTINCT FROM %1$I COLLATE "C" AND coalesce(length(%1$I), 0) <= %3$s) IS TRUE)',
                p_column, p_shadow, p_length)
$$;
COMMENT ON FUNCTION callctl.shadow_check(name, name, integer) IS
  'The CHECK that says of a row that a column and its shadow agree and that it fits the old type';

CREATE OR REPLACE PROCEDURE callctl.begin_shadow(p_step integer, p_table regclass, p_column name, p_shadow name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- PostgreSQL itself says how the column's indexes, CHECKs and statistics objects are written for the shadow: they are made on
-- an empty table of the same form, whose column gets the old type and the shadow's name, and is gone at the end.
DECLARE
  form constant text := 'callctl.shadow_form';
  most constant integer := callctl.remembered_length(p_step);
  relation constant name := (SELECT relname FROM pg_class WHERE oid = p_table);
  own_schema constant regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = p_table);
  a record;
  f record;
  o record;
  number integer := 0;
  text_of_it text;
BEGIN
  IF EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'shadow') THEN
    RETURN;  -- under way: a run that is resumed
  END IF;
  SELECT att.attnum, att.attnotnull, att.attstattarget, att.attoptions, att.attacl, format_type(att.atttypid, att.atttypmod) AS type,
         n.conname AS required, n.convalidated AS validated, pg_get_constraintdef(n.oid) AS requirement, obj_description(n.oid, 'pg_constraint') AS remark
    INTO STRICT a
    FROM pg_attribute att
    LEFT JOIN pg_constraint n ON n.conrelid = att.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[att.attnum]
   WHERE att.attrelid = p_table AND att.attname = p_column AND NOT att.attisdropped;
  PERFORM callctl.remember_settings(p_step, p_table, p_column);
  PERFORM callctl.write_definition(p_step, relation, 'shadow', p_shadow, '',
    jsonb_build_object('facts', callctl.column_facts(p_table, p_column), 'length', most));

  EXECUTE format('CREATE UNLOGGED TABLE %s (LIKE %s INCLUDING DEFAULTS)', form, p_table);
  CREATE UNLOGGED TABLE callctl.shadow_parts (
    number integer, kind text, name name, home regnamespace, made text, remark text, detail jsonb);
  FOR o IN
    SELECT con.conname, con.convalidated, c.definition, obj_description(con.oid, 'pg_constraint') AS remark
      FROM callctl.column_forms(p_table, p_column) AS c
      JOIN pg_constraint con ON con.conrelid = p_table AND con.conname = c.name
     WHERE c.kind = 'check'
     ORDER BY con.conname
  LOOP
    number := number + 1;
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT callctl_shadow_%s %s', form, number, callctl.as_written(o.definition));
    INSERT INTO callctl.shadow_parts
    VALUES (number, 'check', o.conname, own_schema, o.definition, o.remark, jsonb_build_object('validated', o.convalidated));
  END LOOP;
  FOR o IN
    SELECT i.indexrelid, c.name, i.indisunique, c.definition
      FROM callctl.column_forms(p_table, p_column) AS c
      JOIN pg_class x ON x.relname = c.name AND x.relnamespace = own_schema
      JOIN pg_index i ON i.indexrelid = x.oid
     WHERE c.kind = 'index'
     ORDER BY c.name
  LOOP
    number := number + 1;
    EXECUTE format('CREATE %sINDEX callctl_shadow_%s ON %s %s', CASE WHEN o.indisunique THEN 'UNIQUE ' ELSE '' END, number, form,
                   callctl.as_written(o.definition));
    INSERT INTO callctl.shadow_parts
    VALUES (number, CASE WHEN o.indisunique THEN 'unique index' ELSE 'index' END, o.name, own_schema, o.definition, NULL, jsonb_build_object(
              'targets', (SELECT jsonb_object_agg(x.attnum, x.attstattarget) FROM pg_attribute x
                           WHERE x.attrelid = o.indexrelid AND coalesce(x.attstattarget, -1) >= 0)));
  END LOOP;
  FOR o IN
    SELECT s.stxname, s.stxnamespace::regnamespace AS home, to_jsonb(s) ->> 'stxstattarget' AS target,
           pg_get_statisticsobjdef(s.oid) AS definition
      FROM callctl.statistics_of(p_table, p_column) AS u JOIN pg_statistic_ext s ON s.oid = u.statistics
     ORDER BY s.stxname
  LOOP
    number := number + 1;
    text_of_it := callctl.behind(o.definition, format('CREATE STATISTICS %s.%I ', o.home, o.stxname));
    text_of_it := reverse(callctl.behind(reverse(text_of_it), reverse(format(' FROM %s', p_table))));
    EXECUTE format('CREATE STATISTICS callctl.callctl_shadow_%s %s FROM %s', number, text_of_it, form);
    INSERT INTO callctl.shadow_parts
    VALUES (number, 'statistics', o.stxname, o.home, NULL, NULL, jsonb_build_object('target', o.target));
  END LOOP;

  FOR o IN SELECT d.ddl FROM callctl.definition d WHERE d.step = p_step AND d.kind = 'column type' ORDER BY d.ordinal LOOP
    EXECUTE format('ALTER TABLE %s %s', form, callctl.behind(o.ddl, format('ALTER TABLE %s ', p_table)));
  END LOOP;
  -- Those that were not changed since the step are made by the definitions of before: to text and back, an IN or a coalesce()
  -- is printed in another form.
  FOR o IN
    SELECT p.number, p.kind, b.ddl
      FROM callctl.shadow_parts AS p
      JOIN callctl.definition AS l ON l.step = p_step AND l.kind = 'form after' AND l.name = p.name AND l.ddl = p.made AND p.kind LIKE '%' || (l.detail ->> 'of')
      JOIN callctl.definition AS b ON b.step = p_step AND b.kind = 'form before' AND b.name = p.name AND b.ddl <> p.made AND b.detail = l.detail
  LOOP
    IF o.kind = 'check' THEN
      EXECUTE format('ALTER TABLE %1$s DROP CONSTRAINT callctl_shadow_%2$s, ADD CONSTRAINT callctl_shadow_%2$s %3$s', form, o.number,
                     callctl.as_written(o.ddl));
    ELSE
      EXECUTE format('DROP INDEX callctl.callctl_shadow_%s', o.number);
      EXECUTE format('CREATE %sINDEX callctl_shadow_%s ON %s %s', CASE o.kind WHEN 'unique index' THEN 'UNIQUE ' ELSE '' END, o.number,
                     form, callctl.as_written(o.ddl));
    END IF;
  END LOOP;
  EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', form, p_column, p_shadow);

  UPDATE callctl.shadow_parts AS p SET made = callctl.as_written(pg_get_constraintdef(k.oid))
    FROM pg_constraint k WHERE p.kind = 'check' AND k.conrelid = form::regclass AND k.conname = format('callctl_shadow_%s', p.number);
  UPDATE callctl.shadow_parts AS p
     SET made = callctl.behind(callctl.as_written(pg_get_indexdef(i.indexrelid)), format('CREATE %sINDEX callctl_shadow_%s ON %s ',
                  CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, p.number, form))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
   WHERE p.kind LIKE '%index' AND i.indrelid = form::regclass AND c.relname = format('callctl_shadow_%s', p.number);
  UPDATE callctl.shadow_parts AS p
     SET made = reverse(callctl.behind(reverse(callctl.behind(pg_get_statisticsobjdef(s.oid),
                  format('CREATE STATISTICS callctl.callctl_shadow_%s ', p.number))), reverse(format(' FROM %s', form))))
    FROM pg_statistic_ext s
   WHERE p.kind = 'statistics' AND s.stxrelid = form::regclass AND s.stxname = format('callctl_shadow_%s', p.number);

  SELECT format_type(att.atttypid, att.atttypmod) AS type, t.typstorage, att.attstorage, to_jsonb(att) ->> 'attcompression' AS compression,
         pg_get_expr(d.adbin, d.adrelid) AS expression,
         CASE WHEN att.attcollation <> t.typcollation
              THEN (SELECT format(' COLLATE %I.%I', n.nspname, co.collname)
                      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace
                     WHERE co.oid = att.attcollation) END AS collation
    INTO STRICT f
    FROM pg_attribute att
    JOIN pg_type t ON t.oid = att.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = att.attrelid AND d.adnum = att.attnum
   WHERE att.attrelid = form::regclass AND att.attname = p_shadow;
  -- How PostgreSQL prints the CHECK that will prove the two the same, so that no other is taken for it.
  EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', form, p_column, a.type);
  EXECUTE format('ALTER TABLE %s ADD %s', form, callctl.shadow_check(p_column, p_shadow, most));
  UPDATE callctl.definition AS d SET detail = d.detail || jsonb_build_object('agrees', pg_get_constraintdef(k.oid))
    FROM pg_constraint AS k
   WHERE d.step = p_step AND d.kind = 'shadow' AND k.conrelid = form::regclass AND k.conname = 'callctl_shadow_agrees';
  EXECUTE format('DROP TABLE %s', form);

  -- The statements that run at once, below: the column in its later form, still empty.
  PERFORM callctl.write_definition(p_step, relation, 'shadow column', p_shadow, s.ddl)
     FROM (
       SELECT 1 AS place, '' AS grantee, format('ALTER TABLE %s ADD COLUMN %I %s%s', p_table, p_shadow, f.type, f.collation) AS ddl
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_shadow, callctl.storage_name(f.attstorage))
        WHERE f.attstorage <> f.typstorage
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', p_table, p_shadow, callctl.compression_name(f.compression))
        WHERE f.compression <> ''
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', p_table, p_shadow, a.attstattarget)
        WHERE coalesce(a.attstattarget, -1) >= 0
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', p_table, p_shadow, array_to_string(a.attoptions, ', '))
        WHERE a.attoptions IS NOT NULL
       UNION ALL
       -- At once, so that SELECT * of a role with grants on single columns keeps working.
       SELECT 3, x.grantee::text, format('GRANT %s (%I) ON %s TO %s%s', x.privilege_type, p_shadow, p_table,
                CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
                CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
         FROM aclexplode(a.attacl) AS x
       UNION ALL
       SELECT 4, '', format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_shadow,
                format('callctl: becomes %s when step %s is taken back; the next callctl migrate down resumes, the next up drops it',
                       p_column, p_step))
     ) AS s ORDER BY s.place, s.grantee, s.ddl;

  PERFORM callctl.write_definition(p_step, relation, 'shadow ' || p.kind, p.name,
      format('CREATE %sINDEX CONCURRENTLY callctl_shadow_%s ON %s %s', CASE p.kind WHEN 'unique index' THEN 'UNIQUE ' ELSE '' END,
             p.number, p_table, p.made),
      jsonb_build_object('made', format('callctl_shadow_%s', p.number)))
     FROM callctl.shadow_parts p WHERE p.kind LIKE '%index' ORDER BY p.number;
  PERFORM callctl.write_definition(p_step, relation, 'shadow check', p.name,
      format('ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS callctl_shadow_%2$s, ADD CONSTRAINT callctl_shadow_%2$s %3$s%4$s', p_table,
             p.number, p.made, CASE WHEN (p.detail ->> 'validated')::boolean THEN ' NOT VALID' ELSE '' END))
     FROM callctl.shadow_parts p WHERE p.kind = 'check' ORDER BY p.number;
  IF a.attnotnull AND a.validated IS NOT FALSE THEN
    PERFORM callctl.write_definition(p_step, relation, 'shadow check', p_shadow,
      format('ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS callctl_shadow_not_null, ADD CONSTRAINT callctl_shadow_not_null CHECK (%2$I IS NOT NULL) NOT VALID',
             p_table, p_shadow));
    PERFORM callctl.write_definition(p_step, relation, 'shadow validate', p_shadow,
      format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_shadow_not_null', p_table), '{"made": "callctl_shadow_not_null"}');
  END IF;
  PERFORM callctl.write_definition(p_step, relation, 'shadow validate', p.name,
      format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_shadow_%s', p_table, p.number),
      jsonb_build_object('made', format('callctl_shadow_%s', p.number)))
     FROM callctl.shadow_parts p WHERE p.kind = 'check' AND (p.detail ->> 'validated')::boolean ORDER BY p.number;
  PERFORM callctl.write_definition(p_step, relation, 'shadow statistics', s.name, s.ddl)
     FROM (
       SELECT p.number, 1 AS place, p.name,
              format('CREATE STATISTICS IF NOT EXISTS %s.callctl_shadow_%s %s FROM %s', own_schema, p.number, p.made, p_table) AS ddl
         FROM callctl.shadow_parts p WHERE p.kind = 'statistics'
       UNION ALL
       SELECT p.number, 2, p.name, format('ALTER STATISTICS %s.callctl_shadow_%s SET STATISTICS %s', own_schema, p.number, p.detail ->> 'target')
         FROM callctl.shadow_parts p WHERE p.kind = 'statistics' AND (p.detail ->> 'target')::integer >= 0
       UNION ALL
       SELECT p.number, 1, p.name, format('ALTER INDEX %s.callctl_shadow_%s ALTER COLUMN %s SET STATISTICS %s', own_schema, p.number, t.key, t.value)
         FROM callctl.shadow_parts p, LATERAL jsonb_each_text(nullif(p.detail -> 'targets', 'null')) AS t
        WHERE p.kind LIKE '%index'
     ) AS s ORDER BY s.number, s.place;

  -- What is run behind the lock: the catalog alone is written.
  PERFORM callctl.write_definition(p_step, relation, 'shadow swap', p_column, s.ddl)
     FROM (
       SELECT 1 AS place, 0 AS number, format('DROP TRIGGER zzz_callctl_shadow_1_fill ON %s', p_table) AS ddl
       UNION ALL SELECT 2, 0, format('DROP TRIGGER zzz_callctl_shadow_2_keep ON %s', p_table)
       UNION ALL SELECT 3, 0, format('DROP FUNCTION callctl.%I(), callctl.%I()', 'fill_' || relation, 'shadow_' || relation)
       UNION ALL SELECT 4, 0, format('ALTER TABLE %s DROP COLUMN %I', p_table, p_column)
       UNION ALL SELECT 5, 0, format('ALTER TABLE %s RENAME COLUMN %I TO %I', p_table, p_shadow, p_column)
       UNION ALL
       SELECT 6, 0, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', p_table, p_column, f.expression) WHERE f.expression IS NOT NULL
       UNION ALL
       -- The validated CHECK says it of every row: none is read.
       SELECT 7, 0, CASE WHEN a.required IS NULL THEN format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', p_table, p_column)
                         ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', p_table, a.required, a.requirement) END WHERE a.attnotnull
       UNION ALL
       SELECT 8, 0, format('ALTER TABLE %s DROP CONSTRAINT callctl_shadow_not_null', p_table) WHERE a.attnotnull AND a.validated IS NOT FALSE
       UNION ALL
       SELECT 8, 1, format('COMMENT ON CONSTRAINT %I ON %s IS %L', a.required, p_table, a.remark) WHERE a.remark IS NOT NULL
       UNION ALL
       SELECT 9, 0, format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_column, col_description(p_table, a.attnum))
       UNION ALL
       SELECT 10, p.number, CASE p.kind
                WHEN 'check' THEN format('ALTER TABLE %s RENAME CONSTRAINT callctl_shadow_%s TO %I', p_table, p.number, p.name)
                WHEN 'statistics' THEN format('ALTER STATISTICS %s.callctl_shadow_%s RENAME TO %I', own_schema, p.number, p.name)
                ELSE format('ALTER INDEX %s.callctl_shadow_%s RENAME TO %I', own_schema, p.number, p.name) END
         FROM callctl.shadow_parts p
       UNION ALL
       SELECT 11, p.number, format('ALTER STATISTICS %s.%I SET SCHEMA %s', own_schema, p.name, p.home)
         FROM callctl.shadow_parts p WHERE p.kind = 'statistics' AND p.home <> own_schema
       UNION ALL
       SELECT 12, p.number, format('COMMENT ON CONSTRAINT %I ON %s IS %L', p.name, p_table, p.remark)
         FROM callctl.shadow_parts p WHERE p.kind = 'check' AND p.remark IS NOT NULL
       UNION ALL
       SELECT 13, d.ordinal, d.ddl FROM callctl.definition d WHERE d.step = p_step AND d.kind = 'column setting'
     ) AS s ORDER BY s.place, s.number;
  DROP TABLE callctl.shadow_parts;

  -- Neither function looks anything up by the search_path: a SET clause would cost more than all else that they do.
  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
  NEW := OLD;
  RETURN NEW;
END
$body$ $make$, 'fill_' || relation);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'fill_' || relation,
    'Restores every column that another trigger has changed, such as updated_at, where callctl fills its shadow column');
  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
  NEW.%3$I := pg_catalog.left(NEW.%2$I, %4$s);
  RETURN NEW;
END
$body$ $make$, 'shadow_' || relation, p_column, p_shadow, most);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'shadow_' || relation,
    'Keeps the shadow column the same as the column it will replace, whichever session writes');

  FOR o IN SELECT d.ddl FROM callctl.definition d WHERE d.step = p_step AND d.kind = 'shadow column' ORDER BY d.ordinal LOOP
    EXECUTE o.ddl;
  END LOOP;
  -- Triggers fire in the order of their names (PostgreSQL manual, "Overview of Trigger Behavior"): these come last. And for
  -- replicas' writers and loaders, too, which set session_replication_role.
  EXECUTE format('CREATE TRIGGER zzz_callctl_shadow_1_fill BEFORE UPDATE OF %I ON %s FOR EACH ROW WHEN (pg_catalog.current_setting(''callctl.fill'', true) = ''on'') EXECUTE FUNCTION callctl.%I()',
                 p_shadow, p_table, 'fill_' || relation);
  EXECUTE format('CREATE TRIGGER zzz_callctl_shadow_2_keep BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION callctl.%I()',
                 p_table, 'shadow_' || relation);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zzz_callctl_shadow_1_fill, ENABLE ALWAYS TRIGGER zzz_callctl_shadow_2_keep', p_table);
END
$$;
COMMENT ON PROCEDURE callctl.begin_shadow(integer, regclass, name, name) IS
  'Adds a column of the type that a step changed beside the column, with triggers that keep the two the same, and writes down what makes one the other; nothing where that is under way';

CREATE OR REPLACE FUNCTION callctl.shadow_agrees(p_table regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.convalidated
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN callctl.definition AS d ON d.kind = 'shadow' AND d.relation = c.relname
   WHERE k.conrelid = p_table AND k.conname = 'callctl_shadow_agrees' AND k.contype = 'c'
     AND regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') = d.detail ->> 'agrees'
$$;
COMMENT ON FUNCTION callctl.shadow_agrees(regclass) IS
  'Whether the CHECK of callctl.shadow_check() is validated; NULL if it is not there, or says something else';

CREATE OR REPLACE PROCEDURE callctl.promise_shadow(p_table regclass, p_column name, p_shadow name, p_length integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF callctl.shadow_agrees(p_table) IS NULL THEN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS callctl_shadow_agrees, ADD %s NOT VALID', p_table,
                   callctl.shadow_check(p_column, p_shadow, p_length));
  END IF;
END
$$;
COMMENT ON PROCEDURE callctl.promise_shadow(regclass, name, name, integer) IS
  'Lets no row be written from here on whose shadow differs from the column, or that is longer than the old type takes';

CREATE OR REPLACE PROCEDURE callctl.prove_shadow(p_table regclass, p_column name, p_shadow name, p_length integer)
LANGUAGE plpgsql AS $$
DECLARE
  wait constant text := coalesce(nullif(pg_catalog.current_setting('callctl.lock_timeout', true), ''), '200ms');
  broken boolean := false;
  found text;
  total bigint;
BEGIN
  -- A procedure that commits can have no SET of its own.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM set_config('lock_timeout', wait, true);
  CALL callctl.promise_shadow(p_table, p_column, p_shadow, p_length);
  COMMIT;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  BEGIN
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_shadow_agrees', p_table);
  EXCEPTION WHEN check_violation THEN
    broken := true;
  END;
  IF broken THEN
    -- With the CHECK there, these rows could not be written at all.
    PERFORM set_config('lock_timeout', wait, true);
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT callctl_shadow_agrees', p_table);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN shown END, ''; '') FROM (
        SELECT row_number() OVER () AS number, format(''%%s: %%s characters'', id, length(%2$I)) AS shown FROM %1$s
         WHERE %3$I::text COLLATE "C" IS DISTINCT FROM %2$I COLLATE "C" OR length(%2$I) > %4$s) AS different',
      p_table, p_column, p_shadow, p_length) INTO total, found;
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = format(
      '%s of %s: %I has more than %s characters, or differs from %I (%s): it was written a moment ago, or past the trigger; %s',
      CASE total WHEN 1 THEN '1 row' ELSE total || ' rows' END, p_table, p_column, p_length, p_shadow, found, callctl.in_the_way(p_table));
  END IF;
END
$$;
COMMENT ON PROCEDURE callctl.prove_shadow(regclass, name, name, integer) IS
  'Proves that the shadow and its column agree in every row and that none is longer than the old type takes; leaves a validated CHECK that keeps it so, or names rows and leaves none';

CREATE OR REPLACE PROCEDURE callctl.swap_shadow(p_step integer, p_table regclass, p_column name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o record;
  was text;
  shadow name;
  facts text;
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
  SELECT d.name, d.detail ->> 'facts' INTO STRICT shadow, was FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'shadow';
  -- No one writes any more. A validated CHECK says of every row what it says, whatever triggers were off.
  IF callctl.shadow_agrees(p_table) IS NOT TRUE THEN
    RAISE EXCEPTION 'the CHECK callctl_shadow_agrees of % is missing, changed or not validated: it was dropped a moment ago', p_table;
  END IF;
  FOR o IN
    SELECT d.name FROM callctl.definition AS d
     WHERE d.step = p_step AND d.kind = 'shadow validate' AND NOT EXISTS (
       SELECT FROM pg_constraint AS k
        WHERE k.conrelid = p_table AND k.convalidated AND k.conname = d.detail ->> 'made')
  LOOP
    RAISE EXCEPTION 'the CHECK that will be % of % is missing or not validated: it was dropped a moment ago', o.name, p_table;
  END LOOP;
  FOR o IN
    SELECT d.name FROM callctl.definition AS d
     WHERE d.step = p_step AND d.kind IN ('shadow index', 'shadow unique index') AND NOT EXISTS (
       SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = p_table AND i.indisvalid AND c.relname = d.detail ->> 'made')
  LOOP
    RAISE EXCEPTION 'the index that will be % of % is missing or not valid: it was dropped a moment ago', o.name, p_table;
  END LOOP;
  facts := callctl.column_facts(p_table, p_column);
  IF facts IS DISTINCT FROM was THEN
    RAISE EXCEPTION 'what belongs to column % of % has changed since its shadow column was added (%); run the same command again: it begins again',
      p_column, p_table, (SELECT string_agg(left(f, 200), '; ') FROM (
        (SELECT f FROM regexp_split_to_table(facts, E'\n') AS f EXCEPT SELECT f FROM regexp_split_to_table(was, E'\n') AS f)
        UNION ALL
        (SELECT f FROM regexp_split_to_table(was, E'\n') AS f EXCEPT SELECT f FROM regexp_split_to_table(facts, E'\n') AS f)) AS changed);
  END IF;
  FOR o IN SELECT d.ddl FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'shadow swap' ORDER BY d.ordinal LOOP
    EXECUTE o.ddl;
  END LOOP;
END
$$;
COMMENT ON PROCEDURE callctl.swap_shadow(integer, regclass, name) IS
  'Drops a column and gives its name to the shadow, which gets the names of its indexes, CHECKs and statistics objects, where what callctl.prove_shadow() found still holds behind the lock; reads the catalog alone';

CREATE OR REPLACE PROCEDURE callctl.drop_shadow(p_step integer, p_table regclass)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shadow name := (SELECT d.name FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'shadow');
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
BEGIN
  IF shadow IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('DROP TRIGGER IF EXISTS zzz_callctl_shadow_1_fill ON %s', p_table);
  EXECUTE format('DROP TRIGGER IF EXISTS zzz_callctl_shadow_2_keep ON %s', p_table);
  -- Its indexes, its statistics objects and the CHECKs that name it go with it.
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS callctl_shadow_agrees, DROP COLUMN IF EXISTS %I', p_table, shadow);
  EXECUTE format('DROP FUNCTION IF EXISTS callctl.%I(), callctl.%I()', 'fill_' || relation, 'shadow_' || relation);
  DELETE FROM callctl.definition WHERE step = p_step AND kind LIKE 'shadow%';
END
$$;
COMMENT ON PROCEDURE callctl.drop_shadow(integer, regclass) IS
  'Removes a shadow column with its triggers, CHECKs, indexes and statistics objects, and what was written down of it; nothing where none is under way';
