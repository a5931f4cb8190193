-- The roles that own something in the dump, and those named in its grants, policies and default privileges. What belongs to the
-- superuser that made the cluster is in no list of dependencies, so owners are looked up as well. %(left_out)s
SELECT role.name, bool_or(role.owns)
FROM (
  SELECT r.rolname, d.deptype = 'o'
  FROM pg_catalog.pg_shdepend AS d
  JOIN pg_catalog.pg_roles AS r ON r.oid = d.refobjid
  WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass
    AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND d.deptype IN ('o', 'a', 'r')
    AND coalesce((pg_identify_object(d.classid, d.objid, 0)).schema, '') <> ALL (%(left_out)s::text[])
    AND coalesce((pg_identify_object(d.classid, d.objid, 0)).schema, '') !~ '^pg_(temp|toast)'
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS e
      WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
  UNION ALL
  SELECT pg_get_userbyid(o.owner), true
  FROM (
    SELECT relowner, relnamespace, oid, 'pg_catalog.pg_class'::regclass FROM pg_catalog.pg_class
    UNION ALL SELECT proowner, pronamespace, oid, 'pg_catalog.pg_proc'::regclass FROM pg_catalog.pg_proc
    UNION ALL SELECT typowner, typnamespace, oid, 'pg_catalog.pg_type'::regclass FROM pg_catalog.pg_type
    UNION ALL SELECT nspowner, oid, oid, 'pg_catalog.pg_namespace'::regclass FROM pg_catalog.pg_namespace WHERE nspname <> 'public'
  ) AS o(owner, namespace, objid, classid)
  JOIN pg_catalog.pg_namespace AS n ON n.oid = o.namespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL (%(left_out)s::text[])
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS e
      WHERE e.classid = o.classid AND e.objid = o.objid AND e.deptype = 'e')
) AS role(name, owns)
GROUP BY role.name
ORDER BY role.name
