-- The statistics objects of these tables, with the columns that each is of: they go with a column, and are made again for another type.
SELECT s.stxrelid::bigint AS relation, s.stxname AS name,
       array(SELECT DISTINCT a.attname FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = s.stxrelid) AS columns
FROM pg_statistic_ext AS s
