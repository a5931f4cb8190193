-- Tables with row-level security and no policy, and their owners, the only ones who read them. %(schema)s, %(tables)s
SELECT format('%%I.%%I', n.nspname, c.relname), pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND c.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid)
ORDER BY array_position(%(tables)s::text[], c.relname::text)
