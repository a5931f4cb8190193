-- The foreign keys of the rehearsal's database, those with most columns first.
SELECT n.nspname::text AS schema, c.relname::text AS "table", k.conname::text AS name,
       (SELECT array_agg(a.attname::text ORDER BY x.place) FROM unnest(k.conkey) WITH ORDINALITY AS x(number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = x.number) AS columns,
       rn.nspname::text AS to_schema, rc.relname::text AS to_table,
       (SELECT array_agg(a.attname::text ORDER BY x.place) FROM unnest(k.confkey) WITH ORDINALITY AS x(number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.number) AS to_columns
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS rc ON rc.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS rn ON rn.oid = rc.relnamespace
WHERE k.contype = 'f' AND NOT c.relispartition AND NOT rc.relispartition
ORDER BY cardinality(k.conkey) DESC, 1, 2, 3
