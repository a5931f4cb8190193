-- finding: default-privileges
-- steps: 9-11
-- ok: every role that uses chatbots will be able to use the new tables
-- why: a new table has no grants of its own, so the application gets "permission denied for table calls"
--      at its first call
-- do: run that GRANT after the steps, before calls are switched on

SELECT
    'warns' AS level,
    format('role %s has %s on %s; on the new tables that role %s makes it will have %s: GRANT %s ON %I.integration_accounts, %I.calls, %I.call_transcripts TO %s',
           CASE WHEN g.grantee = 0 THEN 'public' ELSE pg_get_userbyid(g.grantee)::text END,
           string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type),
           g.relation, current_user,
           coalesce('only ' || string_agg(d.privilege_type, ', ' ORDER BY d.privilege_type), 'nothing'),
           string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type) FILTER (WHERE d.privilege_type IS NULL),
           g.nspname, g.nspname, g.nspname,
           CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)::text) END) AS what,
    CASE WHEN g.grantee = 0 THEN 'public' ELSE pg_get_userbyid(g.grantee)::text END AS object
FROM (
    SELECT c.oid::regclass::text AS relation, n.nspname, x.grantee, x.privilege_type
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(c.relacl) AS x
    WHERE c.relname = 'chatbots' AND c.relnamespace = 'chatapp'::regnamespace
      AND x.grantee <> c.relowner
      AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
      AND (x.grantee = 0 OR NOT pg_has_role(x.grantee, current_user, 'USAGE'))
      -- A role that reads other tables under row-level security: what it may read of the new ones is for their policies to say.
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = x.grantee
        WHERE s.relnamespace = c.relnamespace AND s.relrowsecurity
          AND (r.oid IS NULL OR NOT (r.rolsuper OR r.rolbypassrls) AND (s.relforcerowsecurity OR NOT pg_has_role(r.oid, s.relowner, 'USAGE'))))
) AS g
LEFT JOIN (
    SELECT DISTINCT x.grantee, x.privilege_type
    FROM pg_catalog.pg_default_acl AS a
    CROSS JOIN LATERAL aclexplode(a.defaclacl) AS x
    WHERE a.defaclobjtype = 'r'
      AND pg_get_userbyid(a.defaclrole) = current_user
      AND (a.defaclnamespace = 0 OR a.defaclnamespace = 'chatapp'::regnamespace)
) AS d ON d.grantee = g.grantee AND d.privilege_type = g.privilege_type
GROUP BY g.grantee, g.relation, g.nspname
HAVING count(*) > count(d.privilege_type);
