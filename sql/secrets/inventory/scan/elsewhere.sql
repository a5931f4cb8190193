-- What is stored in no table, or not yet, with the name that it goes by. One row for each that there is.
SELECT 'pg_catalog.pg_largeobject', format('%s large objects are not read', count(*))
FROM pg_largeobject_metadata HAVING count(*) > 0
UNION ALL
SELECT 'pg_catalog.pg_prepared_xacts', format('%s prepared transactions have written what is not visible yet', count(*))
FROM pg_prepared_xacts WHERE database = current_database() HAVING count(*) > 0
