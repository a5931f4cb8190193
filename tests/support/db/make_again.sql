-- Every constraint, index, trigger, function and default of the platform made again from what PostgreSQL prints of it, as a
-- dump that is restored does.
DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT k.conrelid::regclass AS r, k.conname, pg_get_constraintdef(k.oid) AS d FROM pg_constraint AS k
            WHERE k.connamespace = 'chatapp'::regnamespace AND k.contype IN ('c', 'f') LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', o.r, o.conname, o.conname, o.d);
  END LOOP;
  FOR o IN SELECT i.indexrelid::regclass AS r, pg_get_indexdef(i.indexrelid) AS d FROM pg_index AS i
             JOIN pg_class AS c ON c.oid = i.indexrelid
            WHERE c.relnamespace = 'chatapp'::regnamespace
              AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid) LOOP
    EXECUTE format('DROP INDEX %s', o.r);
    EXECUTE o.d;
  END LOOP;
  FOR o IN SELECT t.tgname, t.tgrelid::regclass AS r, pg_get_triggerdef(t.oid) AS d FROM pg_trigger AS t
             JOIN pg_class AS c ON c.oid = t.tgrelid
            WHERE c.relnamespace = 'chatapp'::regnamespace AND NOT t.tgisinternal LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', o.tgname, o.r);
    EXECUTE o.d;
  END LOOP;
  FOR o IN SELECT pg_get_functiondef(p.oid) AS d FROM pg_proc AS p WHERE p.pronamespace = 'chatapp'::regnamespace LOOP
    EXECUTE o.d;
  END LOOP;
  FOR o IN SELECT d.adrelid::regclass AS r, a.attname, pg_get_expr(d.adbin, d.adrelid) AS d FROM pg_attrdef AS d
             JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
             JOIN pg_class AS c ON c.oid = d.adrelid WHERE c.relnamespace = 'chatapp'::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', o.r, o.attname, o.d);
  END LOOP;
END $$;
