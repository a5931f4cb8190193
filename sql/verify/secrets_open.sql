-- steps: 1
-- fast: yes
-- means: a role that has no business with them may read or change secrets of customers, or what callctl saved of their rows
-- mends: run the REVOKE beside it; or, for accounts, GRANT the role the same on chatbots if it is one of the application's

-- Whoever may do the same with all of chatbots is one of the application's roles (new-tables-granted goes by that as well); for
-- callctl's tables it has to be a reader of chatbots, and may only read. PUBLIC never may. Columns count where they hold secrets.
-- check: secrets-closed: accounts and callctl's own tables, with what is kept and saved there, are open to no role but the application's
SELECT c.oid::regclass AS table, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS role,
       string_agg(DISTINCT g.privilege || coalesce(' (' || quote_ident(g.attname) || ')', ''), ', ') AS may,
       format('REVOKE %s ON %s FROM %s%s;', string_agg(DISTINCT g.privilege || coalesce(' (' || quote_ident(g.attname) || ')', ''), ', '),
              c.oid::regclass, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
              CASE WHEN bool_or(g.is_grantable) THEN ' CASCADE' ELSE '' END) AS statement
FROM pg_class AS c
CROSS JOIN LATERAL (
  SELECT t.grantee, t.privilege_type AS privilege, t.is_grantable, NULL::name AS attname FROM aclexplode(c.relacl) AS t
  UNION ALL
  SELECT t.grantee, t.privilege_type, t.is_grantable, a.attname
  FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS t
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND (c.relname <> 'integration_accounts' OR a.attname IN ('credentials', 'access_token', 'refresh_token', 'webhook_secret'))
) AS g
LEFT JOIN pg_roles AS r ON r.oid = g.grantee
WHERE (c.relnamespace = 'chatapp'::regnamespace AND c.relname = 'integration_accounts'
       OR c.relnamespace = 'callctl'::regnamespace)
  AND c.relkind IN ('r', 'p') AND g.grantee <> c.relowner
  AND (g.grantee = 0
       OR r.oid IS NOT NULL AND NOT r.rolsuper AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')
          AND (c.relnamespace = 'callctl'::regnamespace AND g.privilege <> 'SELECT'
               OR NOT has_table_privilege(r.oid, 'chatapp.chatbots'::regclass, g.privilege)))
GROUP BY c.oid, g.grantee
ORDER BY 1, 2;
