-- How to fingerprint each table of the platform's schema: its name, the columns left out because the platform's own
-- triggers write them, and the query. The query gives a row's key and the MD5 of the row as jsonb: whatever the order of
-- the columns, two rows have the same MD5 if every value prints the same. The key is the primary key's; a table without one
-- has the MD5 and a number, for rows that are the same.
WITH written_by_trigger AS (
  SELECT t.tgrelid, array_agg(DISTINCT lower(assigned.part[1]) ORDER BY lower(assigned.part[1])) AS columns
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
  CROSS JOIN LATERAL regexp_matches(p.prosrc, 'NEW\.(\w+)\s*:?=', 'gi') AS assigned (part)
  WHERE NOT t.tgisinternal AND t.tgtype & 16 = 16  -- fires on UPDATE
  GROUP BY t.tgrelid
), key AS (
  SELECT i.indrelid, string_agg(format('t.%%I', a.attname), ', ' ORDER BY x.place) AS columns
  FROM pg_catalog.pg_index AS i
  CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS x(number, place)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = x.number
  WHERE i.indisprimary
  GROUP BY i.indrelid
)
SELECT
  c.relname::text,
  COALESCE(w.columns, '{}'),
  format(
    CASE WHEN k.columns IS NOT NULL
         THEN 'SELECT concat_ws('','', %%4$s), md5((to_jsonb(t) - %%1$L::text[])::text) FROM %%2$I.%%3$I AS t'
         ELSE 'SELECT concat_ws('','', s.md5, row_number() OVER (PARTITION BY s.md5)), s.md5'
              ' FROM (SELECT md5((to_jsonb(t) - %%1$L::text[])::text) AS md5 FROM %%2$I.%%3$I AS t) AS s' END,
    COALESCE(w.columns, '{}'), n.nspname, c.relname, k.columns)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN written_by_trigger AS w ON w.tgrelid = c.oid
LEFT JOIN key AS k ON k.indrelid = c.oid
WHERE n.nspname = %(schema)s AND c.relkind = 'r'
ORDER BY c.relname
