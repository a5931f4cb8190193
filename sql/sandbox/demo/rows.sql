-- How to fingerprint each table of the platform's schema: its name, the columns left out because the platform's own
-- triggers write them, and the query. The query gives a row's id and the MD5 of the row as jsonb: whatever the order of
-- the columns, two rows have the same MD5 if every value prints the same.
WITH written_by_trigger AS (
  SELECT t.tgrelid, array_agg(DISTINCT lower(assigned.part[1]) ORDER BY lower(assigned.part[1])) AS columns
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
  CROSS JOIN LATERAL regexp_matches(p.prosrc, 'NEW\.(\w+)\s*:?=', 'gi') AS assigned (part)
  WHERE NOT t.tgisinternal AND t.tgtype & 16 = 16  -- fires on UPDATE
  GROUP BY t.tgrelid
)
SELECT
  c.relname::text,
  COALESCE(w.columns, '{}'),
  format('SELECT t.id::text, md5((to_jsonb(t) - %%L::text[])::text) FROM %%I.%%I AS t',
         COALESCE(w.columns, '{}'), n.nspname, c.relname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN written_by_trigger AS w ON w.tgrelid = c.oid
WHERE n.nspname = %(schema)s AND c.relkind = 'r'
ORDER BY c.relname
