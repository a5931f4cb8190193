-- The single column of a table's primary key, and the planner's row count. %(schema)s, %(table)s
SELECT a.attname, format_type(a.atttypid, a.atttypmod), greatest(c.reltuples, 0)::bigint
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
