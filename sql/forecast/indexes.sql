-- The indexes of these tables, with the columns that each reads. Of a locked one, as in relations.sql, the size is that of the statistics.
SELECT i.indrelid::bigint AS relation, n.nspname AS schema, c.relname AS name, i.indisvalid AS valid, i.indisunique AS is_unique,
       i.indisclustered AS clustered, i.indisreplident AS identity,
       CASE WHEN EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
                           AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
            THEN c.relpages * current_setting('block_size')::bigint ELSE pg_relation_size(c.oid) END AS bytes,
       array(SELECT DISTINCT a.attname FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = i.indrelid) AS columns
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_'
