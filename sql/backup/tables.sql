-- The tables whose rows a backup holds, and their size in bytes with what is stored out of line. Not those of an extension,
-- which brings its own; not those of the schemas left out; on a standby not the unlogged ones, which it cannot read.
-- %(left_out)s
SELECT n.nspname, c.relname, pg_table_size(c.oid), c.relpersistence = 'u' AND pg_is_in_recovery() AS unreadable
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r'
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND n.nspname <> ALL (%(left_out)s::text[])
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
