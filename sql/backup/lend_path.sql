-- Gives each function without a search_path of its own the one of the old database, and then the function's own schema, until
-- return_path.sql takes it back. pg_dump writes a dump for an empty search_path, and PostgreSQL 17 builds indexes and materialized
-- views with one: there a function that names another without its schema fails, behind a generated column, a CHECK, an index.
-- callctl.restore_path: an array of schemas; callctl.restore_functions: an array of the functions that have been given it.
DO $$
DECLARE
  path text[] := current_setting('callctl.restore_path')::text[];
  lent oid[] := coalesce(nullif(current_setting('callctl.restore_functions', true), ''), '{}')::oid[];
  f record;
BEGIN
  FOR f IN
    SELECT p.oid, n.nspname
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND p.prokind <> 'a' AND l.lanname NOT IN ('internal', 'c')
      AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting(text) WHERE setting.text LIKE 'search\_path=%')
      AND pg_has_role(p.proowner, 'USAGE')
  LOOP
    EXECUTE format('ALTER ROUTINE %s SET search_path = %s', f.oid::regprocedure, (
      SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.number)
      FROM unnest(path || f.nspname::text) WITH ORDINALITY AS s(name, number)));
    lent := lent || f.oid;
  END LOOP;
  PERFORM set_config('callctl.restore_functions', lent::text, true);
END $$
