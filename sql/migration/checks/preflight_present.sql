-- The relations of the platform's schema and of callctl's own, and their columns; a row without column is the relation.
SELECT n.nspname AS schema, c.relname AS relation, a.attname AS column
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname IN (%(schema)s, 'callctl') AND c.relkind IN ('r', 'p', 'v', 'm', 'f');
