-- The columns that could hold an envelope or a secret: JSON and text of the platform's schema, of what a down archived, and of
-- what callctl saved. %(schema)s, %(archived)s
SELECT n.nspname, c.relname, a.attname, t.typcategory = 'S', coalesce(k.keys, '{}')
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN LATERAL (
  SELECT array_agg(o.attname ORDER BY o.attname) AS keys
  FROM pg_index AS i JOIN pg_attribute AS o ON o.attrelid = i.indrelid AND o.attnum = ANY (i.indkey)
  WHERE i.indrelid = c.oid AND i.indisprimary) AS k ON true
WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND (a.atttypid IN ('json'::regtype, 'jsonb'::regtype) OR t.typcategory = 'S')
  AND (n.nspname = %(schema)s
       OR (n.nspname = 'callctl' AND (c.relname = ANY (%(archived)s::text[])
           OR (c.relname, a.attname) IN (('saved_row', 'contents'), ('saved_value', 'value'), ('saved_value', 'left_there')))))
ORDER BY n.nspname <> %(schema)s, c.relname, a.attnum
