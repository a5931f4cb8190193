-- The schemas that contain a table chatbots.
SELECT n.nspname
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = 'chatbots' AND c.relkind IN ('r', 'p')
ORDER BY n.nspname
