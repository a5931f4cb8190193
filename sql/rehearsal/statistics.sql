-- The share of NULLs, the number of distinct values and the width of each column that this role may read. Never the values:
-- most_common_vals and histogram_bounds hold rows of the platform. %(schemas)s, %(tables)s
SELECT s.schemaname::text AS schema, s.tablename::text AS name, s.attname::text AS "column",
       s.null_frac::float8 AS null_share, s.n_distinct::float8 AS distinct_values, s.avg_width AS width
FROM pg_catalog.pg_stats AS s
JOIN unnest(%(schemas)s::text[], %(tables)s::text[]) AS w(schema, name) ON w.schema = s.schemaname AND w.name = s.tablename
WHERE NOT s.inherited
  OR NOT EXISTS (SELECT FROM pg_catalog.pg_stats AS o
                 WHERE o.schemaname = s.schemaname AND o.tablename = s.tablename AND o.attname = s.attname AND NOT o.inherited)
