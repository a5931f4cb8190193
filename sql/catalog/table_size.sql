-- How large a table is, if it is one table that can be walked page by page: pages, and about how many live rows it had when
-- it was last analyzed. %(schema)s, %(table)s
SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages, greatest(c.reltuples, 0)::bigint AS live
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind = 'r'
