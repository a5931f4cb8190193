-- The tally: what callctl's tables must hold, counted where they are written (docs/explanation/decisions/0024-the-tally.md).
-- It comes last: its triggers are on the tables of the files before it.

CREATE TABLE IF NOT EXISTS callctl.tally (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation text NOT NULL,
  part text NOT NULL DEFAULT '',
  row_count bigint NOT NULL,
  digest numeric NOT NULL,
  kind text NOT NULL DEFAULT 'written' CHECK (kind IN ('begun', 'written', 'summed', 'accepted')),
  written_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE callctl.tally IS
  'What was written to callctl''s tables by callctl, or by a client''s write through callctl''s triggers and foreign keys: the sums of a table''s rows here are those of the table. Rows are only added, and summed up by callctl';
COMMENT ON COLUMN callctl.tally.id IS 'Order in which they were written';
COMMENT ON COLUMN callctl.tally.relation IS 'The table of this schema';
COMMENT ON COLUMN callctl.tally.part IS 'For saved_value the table and field that were saved, such as chatbots.chatbot_type; otherwise empty';
COMMENT ON COLUMN callctl.tally.row_count IS 'Number of rows that a statement added; negative if it removed them';
COMMENT ON COLUMN callctl.tally.digest IS 'The sum of callctl.row_digest() of the rows added, less that of the rows removed';
COMMENT ON COLUMN callctl.tally.kind IS
  'written: by a statement; begun: what was there when counting began; summed: several rows in one; accepted: a difference that an operator accepted';
COMMENT ON COLUMN callctl.tally.written_at IS 'Time of writing';

CREATE OR REPLACE FUNCTION callctl.row_digest(p_row text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- Without a SET, so that PostgreSQL inlines it. It looks at bytes: no encoding refuses one.
  SELECT pg_catalog.hashtextextended(p_row COLLATE "C", 0)
$$;
COMMENT ON FUNCTION callctl.row_digest(text) IS 'PostgreSQL''s 64-bit hash of a row''s text';

CREATE OR REPLACE FUNCTION callctl.set_writes(p_writes text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  before constant text := coalesce(pg_catalog.current_setting('callctl.writes', true), '');
BEGIN
  PERFORM pg_catalog.set_config('callctl.writes', p_writes, true);
  RETURN before;
END
$$;
COMMENT ON FUNCTION callctl.set_writes(text) IS
  'Sets callctl.writes, which says whether what is written to callctl''s tables is counted, until the transaction ends; returns what it was. A role that is no superuser cannot give a function this setting';

CREATE OR REPLACE FUNCTION callctl.counted_tables() RETURNS TABLE (relation text, part text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  -- Not counted: work_list and work_done, which are made again; checkpoint and removed_row, which verify reports while a row is
  -- in them; tally, whose sums are compared.
  -- A column that is added later changes the text of every row: the store that adds it must begin that table's count again.
  SELECT t.name, CASE t.name WHEN 'saved_value' THEN 'r.relation || ''.'' || r.field' ELSE '''''::text' END
    FROM unnest(ARRAY['action', 'bound_field', 'definition', 'encryption_key', 'forecast', 'history', 'inheritance_breach', 'installation',
                      'kept_webhook_secret', 'known_before', 'load_test', 'made', 'proof', 'rotation', 'rotation_failure',
                      'rotation_range', 'saved_row', 'saved_value', 'seeded_model', 'withheld_model']) AS t (name)
$$;
COMMENT ON FUNCTION callctl.counted_tables() IS
  'The tables of this schema whose rows are counted, and the expression by which a table''s rows are counted in parts';

CREATE OR REPLACE FUNCTION callctl.followed_tables(p_table regclass)
RETURNS TABLE (key name, followed regclass, followed_key name, seen boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.attname, c.confrelid::regclass, f.attname,
         -- To a role that may not read a table, or whose rows of it a policy may hide, a row that is there looks like one that is gone.
         has_schema_privilege(p.relnamespace, 'USAGE') AND has_table_privilege(p.oid, 'SELECT') AND NOT row_security_active(p.oid)
    FROM pg_constraint AS c
    JOIN pg_class AS p ON p.oid = c.confrelid
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute AS f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
   WHERE c.conrelid = p_table AND c.contype = 'f' AND cardinality(c.conkey) = 1 AND p.relnamespace <> 'callctl'::regnamespace
$$;
COMMENT ON FUNCTION callctl.followed_tables(regclass) IS
  'The platform''s tables whose rows a table''s rows go with by a foreign key, the columns that join them, and whether the current role sees all their rows';

CREATE OR REPLACE FUNCTION callctl.count_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
-- 'written' are the rows that a statement added or removed; of an UPDATE the rows as they are now, and 'gone' as they were.
-- Rows are only added to the tally, so no client waits for another.
DECLARE
  sign constant integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
  part text;
  k record;
BEGIN
  IF TG_TABLE_SCHEMA <> 'callctl' THEN
    RAISE EXCEPTION 'callctl.count_rows() counts the rows of callctl''s own tables, and % is not one of them', TG_RELID::regclass;
  END IF;
  IF current_setting('callctl.writes', true) = 'on' THEN
    IF TG_TABLE_NAME = 'saved_value' THEN
      INSERT INTO callctl.tally (relation, part, row_count, digest)
      SELECT TG_TABLE_NAME, r.relation || '.' || r.field, sign * count(*), sign * sum(callctl.row_digest(r::text))
        FROM written AS r GROUP BY r.relation, r.field;
      IF TG_OP = 'UPDATE' THEN
        INSERT INTO callctl.tally (relation, part, row_count, digest)
        SELECT TG_TABLE_NAME, r.relation || '.' || r.field, -count(*), -sum(callctl.row_digest(r::text))
          FROM gone AS r GROUP BY r.relation, r.field;
      END IF;
    ELSE
      INSERT INTO callctl.tally (relation, row_count, digest)
      SELECT TG_TABLE_NAME, sign * count(*), sign * sum(callctl.row_digest(r::text)) FROM written AS r HAVING count(*) > 0;
      IF TG_OP = 'UPDATE' THEN
        INSERT INTO callctl.tally (relation, row_count, digest)
        SELECT TG_TABLE_NAME, -count(*), -sum(callctl.row_digest(r::text)) FROM gone AS r HAVING count(*) > 0;
      END IF;
    END IF;

  -- A foreign key has removed them with the platform's rows, or given them those rows' new keys. What another hand removes
  -- or changes is not counted: verify sees the difference. Every DELETE of such a row comes here, so nothing is looked up first.
  ELSIF TG_TABLE_NAME IN ('saved_value', 'inheritance_breach') AND TG_OP <> 'INSERT' AND EXISTS (SELECT FROM written) THEN
    part := (SELECT c.part FROM callctl.counted_tables() AS c WHERE c.relation = TG_TABLE_NAME);
    FOR k IN SELECT * FROM callctl.followed_tables(TG_RELID) LOOP
      IF NOT k.seen THEN
        -- Whether the platform's row is gone cannot be told here, and a client's write must not fail for that: what was there is
        -- set aside. Of an UPDATE that changes the key alone, the new row is counted.
        EXECUTE format('INSERT INTO callctl.removed_row (relation, part, contents) SELECT %1$L, %2$s, r::text FROM %4$I AS r WHERE r.%3$I IS NOT NULL',
                       TG_TABLE_NAME, part, k.key, CASE TG_OP WHEN 'DELETE' THEN 'written' ELSE 'gone' END);
        IF TG_OP = 'UPDATE' THEN
          EXECUTE format(
            'INSERT INTO callctl.tally (relation, part, row_count, digest)
             SELECT %1$L, %2$s, count(*), sum(callctl.row_digest(r::text)) FROM written AS r
              WHERE r.%3$I IS NOT NULL
                AND to_jsonb(r) - ARRAY[%3$L, ''row_id''] IN (SELECT to_jsonb(g) - ARRAY[%3$L, ''row_id''] FROM gone AS g)
              GROUP BY 2', TG_TABLE_NAME, part, k.key);
        END IF;
      ELSIF TG_OP = 'DELETE' THEN
        EXECUTE format(
          'INSERT INTO callctl.tally (relation, part, row_count, digest)
           SELECT %1$L, %2$s, -count(*), -sum(callctl.row_digest(r::text)) FROM written AS r
            WHERE r.%3$I IS NOT NULL AND NOT EXISTS (SELECT FROM %4$s AS t WHERE t.%5$I = r.%3$I) GROUP BY 2',
          TG_TABLE_NAME, part, k.key, k.followed, k.followed_key);
      ELSE
        EXECUTE format(
          'WITH before AS (
             SELECT to_jsonb(r) - ARRAY[%3$L, ''row_id''] AS rest, %2$s AS part, callctl.row_digest(r::text)::numeric AS digest FROM gone AS r
              WHERE r.%3$I IS NOT NULL AND NOT EXISTS (SELECT FROM %4$s AS t WHERE t.%5$I = r.%3$I)
           ), after AS (
             SELECT to_jsonb(r) - ARRAY[%3$L, ''row_id''] AS rest, %2$s AS part, callctl.row_digest(r::text)::numeric AS digest FROM written AS r
              WHERE EXISTS (SELECT FROM %4$s AS t WHERE t.%5$I = r.%3$I)
           )
           INSERT INTO callctl.tally (relation, part, row_count, digest)
           SELECT %1$L, m.part, sum(m.row_count), sum(m.digest)
             FROM (SELECT b.part, -1 AS row_count, -b.digest AS digest FROM before AS b WHERE b.rest IN (SELECT a.rest FROM after AS a)
                   UNION ALL
                   SELECT a.part, 1, a.digest FROM after AS a WHERE a.rest IN (SELECT b.rest FROM before AS b)) AS m
            GROUP BY m.part',
          TG_TABLE_NAME, part, k.key, k.followed, k.followed_key);
      END IF;
    END LOOP;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION callctl.count_rows() IS
  'Adds to callctl.tally what a statement wrote, where callctl.writes is on, or where a foreign key has made rows follow the platform''s';

CREATE OR REPLACE FUNCTION callctl.compare_rows(p_relation text, p_part text)
RETURNS TABLE (part text, recorded bigint, present bigint, digest numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT coalesce(h.part, y.part), coalesce(y.row_count, 0)::bigint, coalesce(h.row_count, 0), coalesce(h.digest, 0) - coalesce(y.digest, 0)
       FROM (SELECT y.part, sum(y.row_count) AS row_count, sum(y.digest) AS digest
               FROM callctl.tally AS y WHERE y.relation = %1$L GROUP BY y.part) AS y
       FULL JOIN (SELECT u.part, sum(u.row_count)::bigint AS row_count, sum(u.digest) AS digest
                    FROM (SELECT %2$s AS part, count(*) AS row_count, sum(callctl.row_digest(r::text)) AS digest FROM callctl.%1$I AS r GROUP BY 1
                          UNION ALL
                          SELECT a.part, count(*), sum(callctl.row_digest(a.contents)) FROM callctl.removed_row AS a
                           WHERE a.relation = %1$L GROUP BY 1) AS u GROUP BY u.part) AS h
         ON h.part = y.part', p_relation, p_part);
END
$$;
COMMENT ON FUNCTION callctl.compare_rows(text, text) IS
  'Returns, for each part of a counted table, the recorded rows, the present or set-aside rows, and the difference of their digests';

CREATE OR REPLACE FUNCTION callctl.changed_records()
RETURNS TABLE (relation text, part text, recorded bigint, present bigint, difference text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT c.relation, c.part FROM callctl.counted_tables() AS c LOOP
    IF to_regclass(format('callctl.%I', t.relation)) IS NULL THEN
      RETURN QUERY SELECT t.relation, ''::text, coalesce(sum(y.row_count), 0)::bigint, 0::bigint, 'the table is missing'::text
                     FROM callctl.tally AS y WHERE y.relation = t.relation;
    ELSIF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = format('callctl.%I', t.relation)::regclass AND c.relkind = 'r') THEN
      RETURN QUERY SELECT t.relation, ''::text, NULL::bigint, NULL::bigint, 'it is no table'::text;
    ELSIF NOT EXISTS (SELECT FROM callctl.tally AS y WHERE y.relation = t.relation AND y.kind IN ('begun', 'accepted')) THEN
      RETURN QUERY SELECT t.relation, ''::text, NULL::bigint, NULL::bigint, 'its rows are not recorded'::text;
    ELSE
      RETURN QUERY
      SELECT t.relation, c.part, c.recorded, c.present,
             CASE WHEN c.present < c.recorded THEN 'rows are missing'
                  WHEN c.present > c.recorded THEN 'rows were added'
                  ELSE 'contents were changed' END
        FROM callctl.compare_rows(t.relation, t.part) AS c
       WHERE c.present <> c.recorded OR c.digest <> 0
       ORDER BY c.part;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.changed_records() IS
  'The counted tables that do not hold what was written to them; no rows: all hold just that';

CREATE OR REPLACE FUNCTION callctl.begin_count(p_accepted text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  writes text;
  back bigint;
  uncounted text[] := '{}';
BEGIN
  IF cardinality(p_accepted) = 0 AND NOT EXISTS (SELECT FROM callctl.tally AS y OFFSET 1000)
     AND NOT EXISTS (SELECT FROM callctl.removed_row) AND NOT EXISTS (
       SELECT FROM callctl.counted_tables() AS c WHERE NOT EXISTS (SELECT FROM callctl.installation AS i WHERE c.relation = ANY (i.counted))) THEN
    RETURN;
  END IF;
  -- One callctl at a time; clients continue to add rows.
  LOCK TABLE callctl.tally IN SHARE UPDATE EXCLUSIVE MODE;
  SELECT sum(callctl.settle_removed_rows(c.relation)) INTO back FROM callctl.counted_tables() AS c;
  IF back > 0 THEN
    RAISE WARNING 'rows that had been removed from callctl''s own tables are back, because their rows of the platform are there: %', back;
  END IF;
  writes := callctl.set_writes('on');
  DELETE FROM callctl.tally AS y WHERE y.relation = ANY (p_accepted);
  FOR t IN
    SELECT c.* FROM callctl.counted_tables() AS c
     WHERE NOT EXISTS (SELECT FROM callctl.tally AS y WHERE y.relation = c.relation AND y.kind IN ('begun', 'accepted'))
       -- It begins once: where it had begun and is gone, no one can tell any more what the table must hold.
       AND (c.relation = ANY (p_accepted) OR NOT EXISTS (SELECT FROM callctl.installation AS i WHERE c.relation = ANY (i.counted)))
  LOOP
    -- One statement, one snapshot: what is written meanwhile is in it with its row of the tally, or neither is. The triggers
    -- are there, and no transaction from before them writes any more.
    INSERT INTO callctl.tally (relation, part, row_count, digest, kind)
    SELECT t.relation, c.part, c.present - c.recorded, c.digest, CASE WHEN t.relation = ANY (p_accepted) THEN 'accepted' ELSE 'begun' END
      FROM (SELECT c.part, c.recorded, c.present, c.digest FROM callctl.compare_rows(t.relation, t.part) AS c
             WHERE c.present <> c.recorded OR c.digest <> 0
            UNION ALL
            SELECT '', 0, 0, 0) AS c;  -- that it has begun
    IF EXISTS (SELECT FROM callctl.tally AS y WHERE y.relation = t.relation AND y.kind = 'begun' AND (y.row_count, y.digest) <> (0, 0)) THEN
      uncounted := uncounted || ('callctl.' || t.relation);
    END IF;
  END LOOP;
  IF uncounted <> '{}' THEN
    RAISE WARNING 'callctl.tally begins to count % with the rows that are there: verify cannot tell which were removed or changed before now. An earlier callctl that did not count leaves it so; if none has migrated this database, the count was emptied by hand: compare with a backup',
      array_to_string(uncounted, ', ');
  END IF;
  UPDATE callctl.installation AS i SET counted = i.counted || ARRAY(
           SELECT DISTINCT y.relation FROM callctl.tally AS y
            WHERE y.kind IN ('begun', 'accepted') AND y.relation <> ALL (i.counted) ORDER BY y.relation)
   WHERE EXISTS (SELECT FROM callctl.tally AS y WHERE y.kind IN ('begun', 'accepted') AND y.relation <> ALL (i.counted));
  -- Many rows become one. Those that are added meanwhile are not seen, and stay.
  WITH many AS (
    SELECT y.relation, y.part FROM callctl.tally AS y WHERE y.kind IN ('written', 'summed')
     GROUP BY y.relation, y.part HAVING count(*) > 20
  ), removed AS (
    DELETE FROM callctl.tally AS y USING many AS m
     WHERE y.kind IN ('written', 'summed') AND y.relation = m.relation AND y.part = m.part
    RETURNING y.relation, y.part, y.row_count, y.digest
  )
  INSERT INTO callctl.tally (relation, part, row_count, digest, kind)
  SELECT r.relation, r.part, sum(r.row_count), sum(r.digest), 'summed' FROM removed AS r GROUP BY r.relation, r.part;
  PERFORM callctl.set_writes(writes);
END
$$;
COMMENT ON FUNCTION callctl.begin_count(text[]) IS
  'Begins the count of each table that has none with what is there, and again of the tables named, whose differences an operator accepts; sums the tally up';

DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT format('callctl.%I', c.relation) AS name, w.name AS trigger, w.event, w.rows, g.tgenabled
      FROM callctl.counted_tables() AS c
      CROSS JOIN (VALUES ('count_added', 'INSERT', 'REFERENCING NEW TABLE AS written'),
                         ('count_changed', 'UPDATE', 'REFERENCING OLD TABLE AS gone NEW TABLE AS written'),
                         ('count_removed', 'DELETE', 'REFERENCING OLD TABLE AS written')) AS w (name, event, rows)
      LEFT JOIN pg_trigger AS g ON g.tgrelid = format('callctl.%I', c.relation)::regclass AND g.tgname = w.name
     -- TRUNCATE is never callctl's; what one of the platform's takes along is set aside (removed rows).
     -- Made once: to make them again would lock out applications whose triggers save values.
     WHERE g.tgenabled IS DISTINCT FROM 'A'
  LOOP
    IF t.tgenabled IS NULL THEN
      EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION callctl.count_rows()',
                     t.trigger, t.event, t.name, t.rows);
    END IF;
    -- For replicas' writers and loaders, too, which set session_replication_role.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.name, t.trigger);
  END LOOP;
END $$;
