-- steps: 1
-- fast: yes
-- means: a role that has no business with them may read or change secrets of customers, or what callctl saved of their rows
-- mends: run the statement beside it, as a superuser; or, for accounts, GRANT the role the same on chatbots if it is one of the application's

-- Whoever may do the same with all of chatbots is one of the application's roles (new-tables-granted goes by that as well); for
-- callctl's tables it has to be a reader of chatbots, and may only read. PUBLIC never may. Columns count where they hold secrets.
-- A REVOKE takes back what the role that runs it has granted; a superuser's, or a member of the owner's, what the owner has. So another
-- role's grant is taken back as that role; where that role cannot name the table, its right to grant goes, with all that it has granted.
-- Grants that rest on others come first.
-- check: secrets-closed: accounts and callctl's own tables, with what is kept and saved there, are open to no role but the application's
WITH RECURSIVE given AS (
  SELECT c.oid, c.relnamespace, c.relowner, g.*
  FROM pg_class AS c
  CROSS JOIN LATERAL (
    SELECT t.grantor, t.grantee, t.privilege_type AS privilege, t.is_grantable, NULL::name AS attname FROM aclexplode(c.relacl) AS t
    UNION ALL
    SELECT t.grantor, t.grantee, t.privilege_type, t.is_grantable, a.attname
    FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS t
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (c.relname <> 'integration_accounts' OR a.attname IN ('credentials', 'access_token', 'refresh_token', 'webhook_secret'))
  ) AS g
  WHERE (c.relnamespace = 'chatapp'::regnamespace AND c.relname = 'integration_accounts'
         OR c.relnamespace = 'callctl'::regnamespace)
    AND c.relkind IN ('r', 'p')
), lent AS (
  SELECT oid, relowner AS role, 0 AS hands FROM given
  UNION
  SELECT g.oid, g.grantee, l.hands + 1 FROM lent AS l JOIN given AS g ON g.oid = l.oid AND g.grantor = l.role AND g.is_grantable
  WHERE l.hands < 10
)
SELECT f.oid::regclass AS table, f.role, f.may,
       CASE WHEN f.grantor = f.relowner THEN format('REVOKE %s ON %s FROM %s%s;', f.may, f.oid::regclass, f.named, f.cascading)
            WHEN o.rolsuper OR pg_has_role(o.oid, f.relowner, 'USAGE')
            THEN format('%I granted it before it became a superuser, or a member of %I: end that, run callctl verify --fast for the REVOKE, then restore it',
                        o.rolname, pg_get_userbyid(f.relowner))
            WHEN NOT has_schema_privilege(o.oid, f.relnamespace, 'USAGE')
            THEN format('REVOKE GRANT OPTION FOR %s ON %s FROM %I CASCADE;', f.may, f.oid::regclass, o.rolname)
            ELSE format('SET ROLE %I; REVOKE %s ON %s FROM %s%s; RESET ROLE;', o.rolname, f.may, f.oid::regclass, f.named, f.cascading) END AS statement
FROM (
  SELECT g.oid, g.relnamespace, g.relowner, g.grantor,
         CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS role,
         CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS named,
         string_agg(DISTINCT g.privilege || coalesce(' (' || quote_ident(g.attname) || ')', ''), ', ') AS may,
         CASE WHEN bool_or(g.is_grantable) THEN ' CASCADE' ELSE '' END AS cascading
  FROM given AS g
  LEFT JOIN pg_roles AS r ON r.oid = g.grantee
  WHERE g.grantee <> g.relowner
    AND (g.grantee = 0
         OR r.oid IS NOT NULL AND NOT r.rolsuper AND NOT pg_has_role(r.oid, g.relowner, 'USAGE')
            AND (g.relnamespace = 'callctl'::regnamespace AND g.privilege <> 'SELECT'
                 OR NOT has_table_privilege(r.oid, 'chatapp.chatbots'::regclass, g.privilege)))
  GROUP BY g.oid, g.relnamespace, g.relowner, g.grantee, g.grantor
) AS f
LEFT JOIN pg_roles AS o ON o.oid = f.grantor
ORDER BY (SELECT max(l.hands) FROM lent AS l WHERE l.oid = f.oid AND l.role = f.grantor) DESC, 1, 2;
