-- The default privileges that what this role makes here would get: ALTER DEFAULT PRIVILEGES. They are the database's own, and a
-- dump takes none away.
SELECT format('%s in %s: %s',
         CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
              WHEN 'n' THEN 'schemas' WHEN 'L' THEN 'large objects' ELSE 'objects' END,
         coalesce('schema ' || quote_ident(n.nspname), 'all schemas'),
         coalesce((SELECT string_agg(DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC') || ' ' || a.privileges, ', ')
                   FROM (SELECT x.grantee, string_agg(x.privilege_type, '/' ORDER BY x.privilege_type) AS privileges
                         FROM aclexplode(d.defaclacl) AS x GROUP BY x.grantee) AS a
                   LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee), 'nothing'))
FROM pg_catalog.pg_default_acl AS d
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
JOIN pg_catalog.pg_roles AS role ON role.oid = d.defaclrole
WHERE role.rolname = current_user
ORDER BY 1
