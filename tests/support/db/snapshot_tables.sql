-- The tables of the database, callctl's own apart, and their columns by name.
SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'callctl') AND n.nspname !~ '^pg_(toast|temp)'
GROUP BY n.nspname, c.relname
ORDER BY n.nspname, c.relname
