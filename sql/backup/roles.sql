-- The roles that own something in the dump, and those named in its grants, policies and default privileges. What belongs to the
-- superuser that made the cluster is in no list of dependencies, so owners are looked up as well. %(left_out)s
WITH object(classid, objid, namespace, owner) AS (
  SELECT 'pg_catalog.pg_class'::regclass, oid, relnamespace, relowner FROM pg_catalog.pg_class
  UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace, proowner FROM pg_catalog.pg_proc
  UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace, typowner FROM pg_catalog.pg_type
  UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid, oid, nspowner FROM pg_catalog.pg_namespace
), left_out(namespace) AS (
  SELECT oid FROM pg_catalog.pg_namespace
  WHERE nspname ~ '^pg_' OR nspname = 'information_schema' OR nspname = ANY (%(left_out)s::text[])
), of_extensions(classid, objid) AS (
  SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
)
SELECT role.name, bool_or(role.owns)
FROM (
  SELECT r.rolname, d.deptype = 'o'
  FROM pg_catalog.pg_shdepend AS d
  JOIN pg_catalog.pg_roles AS r ON r.oid = d.refobjid
  LEFT JOIN object AS o ON o.classid = d.classid AND o.objid = d.objid
  WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass
    AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND d.deptype IN ('o', 'a', 'r')
    AND NOT EXISTS (SELECT FROM left_out AS l WHERE l.namespace = o.namespace)
    AND NOT EXISTS (SELECT FROM of_extensions AS e WHERE e.classid = d.classid AND e.objid = d.objid)
  UNION ALL
  SELECT pg_get_userbyid(o.owner), true
  FROM object AS o
  WHERE NOT EXISTS (SELECT FROM left_out AS l WHERE l.namespace = o.namespace)
    AND NOT EXISTS (SELECT FROM of_extensions AS e WHERE e.classid = o.classid AND e.objid = o.objid)
    -- Its owner is the server's own affair: pg_database_owner since 15.
    AND NOT (o.classid = 'pg_catalog.pg_namespace'::regclass AND o.objid = to_regnamespace('public'))
) AS role(name, owns)
GROUP BY role.name
ORDER BY role.name
