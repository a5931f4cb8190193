-- Whether an index is there and valid. %(name)s, %(schema)s
SELECT i.indisvalid AND i.indisready
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = %(name)s AND n.nspname = %(schema)s
