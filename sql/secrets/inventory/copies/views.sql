-- The materialized views that hold a column that is written. %(schemas)s, %(tables)s, %(columns)s: as in triggers.sql
SELECT DISTINCT quote_ident(vn.nspname) || '.' || quote_ident(v.relname) AS name, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation
FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[]) AS w (schema_name, table_name, written_column)
JOIN pg_namespace AS n ON n.nspname = w.schema_name
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.written_column
JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                       AND d.classid = 'pg_rewrite'::regclass
JOIN pg_rewrite AS r ON r.oid = d.objid
JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'm'
JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
ORDER BY 1
