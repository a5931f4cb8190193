-- What the role lacks of what commands need beside the steps, whose rights preflight checks: a row each. %(schema)s: the schema of
-- the platform's tables.
SELECT format('schema %%I does not exist in this database', %(schema)s::text) AS lacks, 'every command' AS needed_by, true AS needed,
       'give the schema of the platform''s tables with --schema' AS remedy
WHERE to_regnamespace(quote_ident(%(schema)s)) IS NULL
UNION ALL
SELECT format('role %%s may not use schema %%s', current_user, n.nspname), 'every command', true,
       format('GRANT USAGE ON SCHEMA %%I TO %%I;', n.nspname, current_user)
FROM pg_namespace AS n
WHERE n.nspname = %(schema)s AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT format('role %%s may not read %%s of the %%s tables in schema %%s', current_user, count(*) FILTER (WHERE t.closed), count(*),
              min(t.nspname)), 'backup', false,
       format('GRANT SELECT ON ALL TABLES IN SCHEMA %%I TO %%I;', min(t.nspname), current_user)
FROM (
  SELECT n.nspname, NOT has_table_privilege(c.oid, 'SELECT') AS closed
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p')
) AS t
HAVING bool_or(t.closed)
UNION ALL
SELECT format('row-level security hides rows of %%s from role %%s', string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname), current_user),
       'verify, backup and rotate-secrets', false, format('connect as the owner, or as a superuser run ALTER ROLE %%I BYPASSRLS;', current_user)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND row_security_active(c.oid)
HAVING count(*) > 0
UNION ALL
SELECT format('role %%s may not see the sessions of other roles', current_user), 'migrate status and preflight', false,
       format('GRANT pg_monitor TO %%I;', current_user)
WHERE NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
