-- The columns of the platform's tables, by relation: name, type, and the type's category (E enum, S string).
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE n.nspname = %(schema)s
  AND c.relname = ANY (%(tables)s::text[])
  AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
