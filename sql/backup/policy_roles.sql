-- The roles that row-level security policies of the dump name. A restore needs them with --no-owner, too. %(left_out)s
SELECT DISTINCT r.rolname
FROM pg_catalog.pg_policy AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid = ANY (p.polroles)
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL (%(left_out)s::text[])
ORDER BY 1
