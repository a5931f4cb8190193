-- The columns of the tables to fill, in the rehearsal's database: what a value must be like. %(schemas)s, %(tables)s
WITH RECURSIVE resolved(oid, base, typmod, not_null, checks) AS (
  SELECT t.oid, t.oid, -1, false, NULL::text FROM pg_catalog.pg_type AS t WHERE t.typtype <> 'd'
  UNION ALL
  SELECT t.oid, r.base, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE r.typmod END, r.not_null OR t.typnotnull,
         concat_ws(' ', r.checks, (SELECT string_agg(pg_get_constraintdef(k.oid), ' ')
                                   FROM pg_catalog.pg_constraint AS k WHERE k.contypid = t.oid))
  FROM pg_catalog.pg_type AS t JOIN resolved AS r ON r.oid = t.typbasetype WHERE t.typtype = 'd'
)
SELECT n.nspname::text AS schema, c.relname::text AS "table", a.attname::text AS name, a.attnum::integer AS number,
       format_type(a.atttypid, a.atttypmod) AS type, b.typname::text AS base, b.typtype::text AS kind,
       CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE r.typmod END AS modifier,
       a.attnotnull OR r.not_null AS not_null, a.attgenerated <> '' AS generated, a.atthasdef AS has_default,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = b.oid) AS labels,
       format_type(b.oid, NULL) AS base_type, r.checks AS domain_checks,
       b.typcategory = 'A' AS is_array,
       pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname) AS sequence
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS w(schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN resolved AS r ON r.oid = a.atttypid
JOIN pg_catalog.pg_type AS b ON b.oid = r.base
ORDER BY 1, 2, a.attnum
