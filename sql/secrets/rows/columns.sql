-- The columns of the tables that may hold secrets, in the platform's schema and in the archive, and which of them are the
-- primary key; and whether an id can be there twice, since the table has inheritance children. %(schema)s, %(tables)s: wherever they are live; %(archived)s: those that a down archives
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY (i.indkey), false),
       c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhparent = c.oid)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND ((n.nspname = %(schema)s AND c.relname = ANY (%(tables)s::text[]))
       OR (n.nspname = 'callctl' AND c.relname = ANY (%(archived)s::text[])))
ORDER BY n.nspname <> %(schema)s, c.relname, a.attnum
