-- The rules that rewrite an UPDATE of the tables, and whether one reads the row as it was.
-- %(schemas)s, %(tables)s: as in triggers.sql
SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation, r.rulename::text AS name, r.is_instead AS instead,
       pg_get_ruledef(r.oid) ~* '\mold\M' AS reads_old
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS w (schema_name, table_name)
JOIN pg_namespace AS n ON n.nspname = w.schema_name
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
JOIN pg_rewrite AS r ON r.ev_class = c.oid AND r.ev_type = '2' AND r.ev_enabled IN ('O', 'A')
ORDER BY 1, 2
