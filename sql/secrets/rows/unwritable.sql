-- Columns into which no envelope can go, or whose new value would go elsewhere too, and why; 120 characters are fewer than the
-- shortest envelope has. %(schemas)s, %(tables)s, %(columns)s
SELECT format('%%s.%%s', w.table_name, w.column_name),
       CASE WHEN a.attgenerated <> '' THEN 'it is generated from other columns'
            WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod BETWEEN 5 AND 123
            THEN format('%%s is too short for an envelope', format_type(a.atttypid, a.atttypmod))
            WHEN k.contype = 'f' AND k.confrelid = c.oid AND a.attnum = ANY (k.confkey)
            THEN format('foreign key %%I of %%s refers to it', k.conname, k.conrelid::regclass)
            ELSE format('foreign key %%I makes it a key of %%s', k.conname, k.confrelid::regclass) END
FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[]) AS w (schema_name, table_name, column_name)
JOIN pg_namespace AS n ON n.nspname = w.schema_name
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.column_name AND NOT a.attisdropped
LEFT JOIN pg_constraint AS k
    ON k.contype = 'f'
   AND ((k.confrelid = c.oid AND a.attnum = ANY (k.confkey)) OR (k.conrelid = c.oid AND a.attnum = ANY (k.conkey)))
WHERE a.attgenerated <> '' OR k.oid IS NOT NULL
   OR (a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod BETWEEN 5 AND 123)
ORDER BY 1, 2
LIMIT 1
