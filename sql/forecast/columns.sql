-- The columns of these tables: type and length as ALTER COLUMN TYPE compares them (pg_attribute.atttypmod).
SELECT a.attrelid::bigint AS relation, a.attname AS name, a.atttypid::bigint AS type, a.atttypmod AS modifier,
       a.attnotnull AS not_null
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
