-- The tables that a publication carries, with what its subscribers get of an UPDATE; and those whose replica identity is FULL,
-- so that every logical slot gets the row as it was. %(schemas)s, %(tables)s: as in triggers.sql
WITH RECURSIVE written (relation) AS (
  SELECT c.oid
  FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS w (schema_name, table_name)
  JOIN pg_namespace AS n ON n.nspname = w.schema_name
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
  UNION
  SELECT i.inhrelid FROM written AS w JOIN pg_inherits AS i ON i.inhparent = w.relation
)
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation, c.relreplident = 'f' AS whole_rows,
       ARRAY(SELECT p.pubname::text FROM pg_publication_tables AS p
             WHERE p.schemaname = n.nspname AND p.tablename = c.relname ORDER BY 1) AS publications
FROM written AS w
JOIN pg_class AS c ON c.oid = w.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relreplident = 'f'
   OR EXISTS (SELECT FROM pg_publication_tables AS p WHERE p.schemaname = n.nspname AND p.tablename = c.relname)
ORDER BY 1
