-- Which tables have a column account_type. %(schema)s
SELECT c.relname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE a.attname = 'account_type' AND NOT a.attisdropped
  AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN (%(schema)s, 'callctl'))
