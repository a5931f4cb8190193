-- The tables of callctl's schema that the log is read from and that this role may not read, and the statements that let it; no row
-- if it may read all of them.
SELECT string_agg('callctl.' || t.relname, ', ' ORDER BY t.relname) AS tables, min(t.owner) AS owner, current_user::text AS reader,
       format('connect as %s, or run: GRANT USAGE ON SCHEMA callctl TO %I; GRANT SELECT ON %s TO %I;', min(t.owner), current_user,
              string_agg('callctl.' || t.relname, ', ' ORDER BY t.relname), current_user) AS remedy
FROM (
  SELECT c.relname, pg_get_userbyid(c.relowner)::text AS owner
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = 'callctl' AND c.relname IN ('history', 'action', 'rotation', 'encryption_key')
    AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
) AS t
HAVING count(*) > 0
