-- The platform's tables, and those that they refer to at any distance: rows as the planner knows them (-1: not known), bytes.
-- %(schema)s
WITH RECURSIVE wanted(oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class AS c
  WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  UNION
  SELECT k.confrelid FROM wanted AS w JOIN pg_catalog.pg_constraint AS k ON k.conrelid = w.oid AND k.contype = 'f'
)
SELECT n.nspname::text AS schema, c.relname::text AS name,
       (SELECT CASE WHEN bool_or(p.reltuples < 0 OR (p.reltuples = 0 AND pg_relation_size(p.oid) > 0)) THEN -1
                    ELSE sum(p.reltuples)::bigint END
        FROM pg_partition_tree(c.oid) AS t JOIN pg_catalog.pg_class AS p ON p.oid = t.relid WHERE t.isleaf) AS leaf_rows,
       CASE WHEN c.reltuples < 0 OR (c.reltuples = 0 AND pg_relation_size(c.oid) > 0) THEN -1
            ELSE c.reltuples::bigint END AS rows,
       c.relkind = 'p' AS partitioned, pg_table_size(c.oid) AS bytes
FROM wanted AS w
JOIN pg_catalog.pg_class AS c ON c.oid = w.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 1, 2
