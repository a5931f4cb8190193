-- The triggers that fire where a rotation writes rows: of the tables, and of their partitions and children. Whether one reads the
-- row as it was (the word OLD, or a transition table of old rows), and which tables its function inserts into, as far as
-- its source says. callctl's own triggers copy nothing. %(schemas)s, %(tables)s, %(columns)s: a column that is written each
WITH RECURSIVE written (relation, written_column) AS (
  SELECT c.oid, w.written_column
  FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[]) AS w (schema_name, table_name, written_column)
  JOIN pg_namespace AS n ON n.nspname = w.schema_name
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
  UNION
  SELECT i.inhrelid, w.written_column FROM written AS w JOIN pg_inherits AS i ON i.inhparent = w.relation
)
SELECT DISTINCT quote_ident(s.nspname) || '.' || quote_ident(c.relname) AS relation,
       g.tgname::text AS name,
       CASE WHEN g.tgtype::integer & 2 <> 0 THEN 'BEFORE' WHEN g.tgtype::integer & 64 <> 0 THEN 'INSTEAD OF' ELSE 'AFTER' END AS fires,
       p.oid::regprocedure::text AS function,
       l.lanname IN ('plpgsql', 'sql') AS readable,
       p.prosrc ~* '\mold\M' OR g.tgoldtable IS NOT NULL AS reads_old,
       ARRAY(SELECT DISTINCT m.into_table[1] FROM regexp_matches(p.prosrc, '\minsert\s+into\s+([\w."$]+)', 'gi') AS m (into_table)
             ORDER BY 1) AS inserts
FROM written AS w
JOIN pg_class AS c ON c.oid = w.relation
JOIN pg_namespace AS s ON s.oid = c.relnamespace
JOIN pg_trigger AS g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
JOIN pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE g.tgtype::integer & 16 <> 0 -- UPDATE
  AND (cardinality(g.tgattr::smallint[]) = 0
       OR EXISTS (SELECT FROM pg_attribute AS a
                  WHERE a.attrelid = c.oid AND a.attname = w.written_column AND a.attnum = ANY (g.tgattr::smallint[])))
  AND n.nspname <> 'callctl'
ORDER BY 1, 2
