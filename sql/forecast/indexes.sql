-- The indexes of these tables, with the columns that each reads.
SELECT i.indrelid::bigint AS relation, n.nspname AS schema, c.relname AS name, i.indisvalid AS valid, i.indisunique AS is_unique,
       i.indisclustered AS clustered, i.indisreplident AS identity,
       pg_relation_size(i.indexrelid) AS bytes,
       array(SELECT DISTINCT a.attname FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = i.indrelid) AS columns
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_'
