-- The tables and sequences that a dump needs and this role may not read, and those of whose rows a policy may hide some from it.
-- %(left_out)s
SELECT n.nspname, c.relname,
       CASE WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END AS kind,
       CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') OR NOT CASE c.relkind
              WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END
            THEN 'denied' ELSE 'hidden' END AS reason
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND n.nspname <> ALL (%(left_out)s::text[])
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND (NOT has_schema_privilege(n.oid, 'USAGE')
    OR NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END
    OR (c.relkind <> 'S' AND row_security_active(c.oid)))
ORDER BY reason, kind DESC, n.nspname, c.relname
