-- Removed rows: rows that left callctl's tables with rows of the platform, or seemed to. Each is settled: it is deleted if
-- the platform's row is gone, too, and restored otherwise. Until then it counts as present (callctl.compare_rows).

CREATE TABLE IF NOT EXISTS callctl.removed_row (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation text NOT NULL,
  part text NOT NULL DEFAULT '',
  contents text NOT NULL,
  removed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE callctl.removed_row IS
  'Rows that left one of callctl''s tables while it was not known whether the platform''s row that they belong to is gone, too: within TRUNCATE ... CASCADE, and where callctl''s functions do not see all rows of the platform''s table';
COMMENT ON COLUMN callctl.removed_row.id IS 'Order in which they were removed';
COMMENT ON COLUMN callctl.removed_row.relation IS 'The table of this schema';
COMMENT ON COLUMN callctl.removed_row.part IS 'As in tally';
COMMENT ON COLUMN callctl.removed_row.contents IS 'The row, as its text';
COMMENT ON COLUMN callctl.removed_row.removed_at IS 'Time of removal';

CREATE OR REPLACE FUNCTION callctl.settle_removed_rows(p_relation text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
DECLARE
  of_table regclass;
  k record;
  names text;
  fields text;
  superseded text;
  writes text;
  back bigint;
  total bigint := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM callctl.removed_row AS r WHERE r.relation = p_relation) THEN
    RETURN 0;
  END IF;
  of_table := format('callctl.%I', p_relation)::regclass;
  SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum), string_agg(format('(r.stored).%I', a.attname), ', ' ORDER BY a.attnum),
         string_agg(CASE a.attname WHEN 'superseded_at' THEN 'coalesce((r.stored).superseded_at, clock_timestamp())'
                                   WHEN 'id' THEN 'nextval(pg_get_serial_sequence(''callctl.saved_value'', ''id''))'
                                   ELSE format('(r.stored).%I', a.attname) END, ', ' ORDER BY a.attnum)
    INTO names, fields, superseded
    FROM pg_attribute AS a WHERE a.attrelid = of_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
  FOR k IN SELECT * FROM callctl.followed_tables(of_table) AS f WHERE f.seen LOOP
    -- The platform's row is there: its rows are restored. They were counted when they were saved, and have not been subtracted since.
    writes := callctl.set_writes('');
    EXECUTE format(
      'INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE
       SELECT %3$s FROM (SELECT a.contents::%1$s AS stored FROM callctl.removed_row AS a WHERE a.relation = %4$L OFFSET 0) AS r
         JOIN %5$s AS t ON t.%6$I = (r.stored).%7$I
       ON CONFLICT DO NOTHING', of_table, names, fields, p_relation, k.followed, k.followed_key, k.key);
    GET DIAGNOSTICS back = ROW_COUNT;
    total := total + back;
    EXECUTE format('DELETE FROM callctl.removed_row AS a USING %1$s AS r WHERE a.relation = %2$L AND a.contents = r::text AND r.%3$I IS NOT NULL',
                   of_table, p_relation, k.key);
    -- Its place may be taken by a value that was saved since: then that one counts, and the older is listed as superseded.
    PERFORM callctl.set_writes('on');
    IF p_relation = 'saved_value' THEN
      EXECUTE format(
        'INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE
         SELECT %3$s FROM (SELECT a.contents::%1$s AS stored FROM callctl.removed_row AS a WHERE a.relation = %4$L OFFSET 0) AS r
           JOIN %5$s AS t ON t.%6$I = (r.stored).%7$I', of_table, names, superseded, p_relation, k.followed, k.followed_key, k.key);
    END IF;
    PERFORM callctl.set_writes(writes);
    -- What is left of these has its place taken, or went with the platform's row.
    EXECUTE format(
      'WITH settled AS (
         DELETE FROM callctl.removed_row AS a WHERE a.relation = %1$L AND (a.contents::%2$s).%3$I IS NOT NULL RETURNING a.part, a.contents
       )
       INSERT INTO callctl.tally (relation, part, row_count, digest)
       SELECT %1$L, s.part, -count(*), -sum(callctl.row_digest(s.contents)) FROM settled AS s GROUP BY s.part', p_relation, of_table, k.key);
  END LOOP;
  RETURN total;
END
$$;
COMMENT ON FUNCTION callctl.settle_removed_rows(text) IS
  'Restores the removed rows of one table whose rows of the platform exist, and counts the others as gone; those whose rows the current role does not see stay. Returns the number restored';

CREATE OR REPLACE FUNCTION callctl.spare_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF TG_TABLE_SCHEMA <> 'callctl' THEN
    RAISE EXCEPTION 'callctl.spare_rows() keeps rows of callctl''s own tables, and % is not one of them', TG_RELID::regclass;
  END IF;
  IF TG_WHEN = 'BEFORE' THEN
    EXECUTE format('INSERT INTO callctl.removed_row (relation, part, contents) SELECT %L, %s, r::text FROM %s AS r',
                   TG_TABLE_NAME, (SELECT c.part FROM callctl.counted_tables() AS c WHERE c.relation = TG_TABLE_NAME), TG_RELID::regclass);
  ELSE
    PERFORM callctl.settle_removed_rows(TG_TABLE_NAME);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION callctl.spare_rows() IS
  'Keeps callctl''s saved data of other tables when a platform table is truncated with CASCADE';

DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT format('callctl.%I', c.relation) AS name, w.name AS trigger, w.moment, g.tgenabled
      FROM callctl.counted_tables() AS c
      CROSS JOIN (VALUES ('spare_before', 'BEFORE'), ('spare_after', 'AFTER')) AS w (name, moment)
      LEFT JOIN pg_trigger AS g ON g.tgrelid = format('callctl.%I', c.relation)::regclass AND g.tgname = w.name
     WHERE c.relation IN ('saved_value', 'inheritance_breach')
       -- Made once: to make them again would lock out applications whose triggers save values.
       AND g.tgenabled IS DISTINCT FROM 'A'
  LOOP
    IF t.tgenabled IS NULL THEN
      EXECUTE format('CREATE TRIGGER %I %s TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION callctl.spare_rows()', t.trigger, t.moment, t.name);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.name, t.trigger);
  END LOOP;
END $$;
