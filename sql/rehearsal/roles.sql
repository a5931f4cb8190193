-- The statements that make the target's roles again, with their attributes and without passwords; then who is a member of whom.
SELECT format('CREATE ROLE %I%s%s%s%s%s%s%s', r.rolname,
              CASE WHEN r.rolsuper THEN ' SUPERUSER' ELSE '' END, CASE WHEN r.rolcreatedb THEN ' CREATEDB' ELSE '' END,
              CASE WHEN r.rolcreaterole THEN ' CREATEROLE' ELSE '' END, CASE WHEN r.rolinherit THEN '' ELSE ' NOINHERIT' END,
              CASE WHEN r.rolcanlogin THEN ' LOGIN' ELSE '' END, CASE WHEN r.rolreplication THEN ' REPLICATION' ELSE '' END,
              CASE WHEN r.rolbypassrls THEN ' BYPASSRLS' ELSE '' END) AS statement, r.rolname::text AS role
FROM pg_catalog.pg_roles AS r WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT format('GRANT %I TO %I%s', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member),
              CASE WHEN m.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END), pg_get_userbyid(m.member)::text
FROM pg_catalog.pg_auth_members AS m
WHERE pg_get_userbyid(m.member) !~ '^pg_'
ORDER BY 1
