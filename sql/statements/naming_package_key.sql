-- The columns of chatbots that alone are a foreign key to chatbot_packages.
SELECT DISTINCT a.attname
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_class AS p ON p.oid = k.confrelid AND p.relnamespace = c.relnamespace
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f'
  AND n.nspname = %(schema)s
  AND c.relname = 'chatbots'
  AND p.relname = 'chatbot_packages'
  AND cardinality(k.conkey) = 1
ORDER BY a.attname
