-- The unique indexes of the rehearsal's database: the columns that they compare, those inside an expression as well.
SELECT n.nspname::text AS schema, c.relname::text AS "table", x.relname::text AS name,
       (SELECT array_agg(DISTINCT a.attname::text) FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0
          AND (a.attnum = ANY (i.indkey) OR (0 = ANY (i.indkey) AND EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = x.oid
              AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum)))) AS columns
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY i.indisprimary DESC, 1, 2, 3
