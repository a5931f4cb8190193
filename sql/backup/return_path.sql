-- Takes back what lend_path.sql has given.
DO $$
DECLARE
  lent oid;
BEGIN
  FOREACH lent IN ARRAY coalesce(nullif(current_setting('callctl.restore_functions', true), ''), '{}')::oid[] LOOP
    EXECUTE format('ALTER ROUTINE %s RESET search_path', lent::regprocedure);
  END LOOP;
  PERFORM set_config('callctl.restore_functions', '', true);
END $$
