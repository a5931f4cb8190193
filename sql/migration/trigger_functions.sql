-- The functions that the triggers of these tables run: schema, name. %(schema)s and %(tables)s are names as the catalog holds them.
SELECT DISTINCT n.nspname, p.proname
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE NOT t.tgisinternal AND s.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
ORDER BY 1, 2
