-- The owners of these tables to whom the role does not belong. %(schema)s, %(tables)s
SELECT DISTINCT pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND NOT pg_has_role(c.relowner, 'USAGE')
ORDER BY 1
