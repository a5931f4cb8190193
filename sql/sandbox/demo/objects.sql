-- How many objects of each kind the platform's schema holds.
SELECT 'tables' AS what, count(*) AS number
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT 'columns', count(*)
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'indexes', count(*)
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'i'
UNION ALL
SELECT 'constraints', count(*)
FROM pg_catalog.pg_constraint AS k
WHERE k.connamespace = %(schema)s::regnamespace AND k.contype IN ('c', 'f', 'p', 'u')
UNION ALL
SELECT 'triggers', count(*)
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
