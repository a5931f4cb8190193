-- steps: 1
-- fast: yes
-- means: a role that has no business with them may read or change secrets of customers, or what callctl saved of their rows
-- mends: run the statement beside it; or, for accounts, GRANT the role the same on chatbots if it is one of the application's

-- Whoever may do the same with all of chatbots is one of the application's roles (new-tables-granted goes by that as well); for
-- callctl's tables it has to be a reader of chatbots, and may only read. PUBLIC never may. Columns count where they hold secrets.
-- The tables that inherit from accounts hold rows of accounts. In schema callctl no one but its owner makes anything.
-- check: secrets-closed: accounts and callctl's own schema, with what is kept and saved there, are open to no role but the application's
WITH RECURSIVE accounts AS (
  SELECT c.oid FROM pg_class AS c
  WHERE c.relname = 'integration_accounts' AND c.relnamespace IN ('chatapp'::regnamespace, 'callctl'::regnamespace)
  UNION
  SELECT i.inhrelid FROM accounts AS a JOIN pg_inherits AS i ON i.inhparent = a.oid
), granted AS (
  SELECT c.oid::regclass::text AS object, c.oid::regclass::text AS place, g.grantee, r.rolname, g.is_grantable,
         g.privilege || coalesce(' (' || quote_ident(g.attname) || ')', '') AS privilege
  FROM pg_class AS c
  CROSS JOIN LATERAL (
    SELECT t.grantee, t.privilege_type AS privilege, t.is_grantable, NULL::name AS attname FROM aclexplode(c.relacl) AS t
    UNION ALL
    SELECT t.grantee, t.privilege_type, t.is_grantable, a.attname
    FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS t
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (c.oid NOT IN (SELECT s.oid FROM accounts AS s) OR a.attname IN ('credentials', 'access_token', 'refresh_token', 'webhook_secret'))
  ) AS g
  LEFT JOIN pg_roles AS r ON r.oid = g.grantee
  WHERE (c.oid IN (SELECT s.oid FROM accounts AS s) OR c.relnamespace = 'callctl'::regnamespace)
    AND c.relkind IN ('r', 'p', 'f') AND g.grantee <> c.relowner
    AND (g.grantee = 0
         OR r.oid IS NOT NULL AND NOT r.rolsuper AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')
            AND (c.relnamespace = 'callctl'::regnamespace AND g.privilege <> 'SELECT'
                 OR NOT has_table_privilege(r.oid, 'chatapp.chatbots'::regclass, g.privilege)))
  UNION ALL
  SELECT 'schema callctl', 'SCHEMA callctl', g.grantee, r.rolname, g.is_grantable, g.privilege_type
  FROM pg_namespace AS n
  CROSS JOIN LATERAL aclexplode(n.nspacl) AS g
  LEFT JOIN pg_roles AS r ON r.oid = g.grantee
  WHERE n.nspname = 'callctl' AND g.privilege_type = 'CREATE' AND g.grantee <> n.nspowner
    AND (g.grantee = 0 OR r.oid IS NOT NULL AND NOT r.rolsuper AND NOT pg_has_role(r.oid, n.nspowner, 'USAGE'))
)
SELECT g.object AS table, coalesce(g.rolname::text, 'PUBLIC') AS role, string_agg(DISTINCT g.privilege, ', ') AS may,
       format('REVOKE %s ON %s FROM %s%s;', string_agg(DISTINCT g.privilege, ', '), g.place,
              coalesce(quote_ident(g.rolname), 'PUBLIC'), CASE WHEN bool_or(g.is_grantable) THEN ' CASCADE' ELSE '' END) AS statement
FROM granted AS g
GROUP BY g.object, g.place, g.grantee, g.rolname
ORDER BY 1, 2;

-- The owner of callctl's own schema and tables is compared by store-tables.
-- check: secrets-owned: accounts, and what inherits from them, belong to a role that owns tables of the platform, or to callctl's owner
WITH RECURSIVE accounts AS (
  SELECT c.oid FROM pg_class AS c
  WHERE c.relname = 'integration_accounts' AND c.relnamespace IN ('chatapp'::regnamespace, 'callctl'::regnamespace)
  UNION
  SELECT i.inhrelid FROM accounts AS a JOIN pg_inherits AS i ON i.inhparent = a.oid
)
SELECT c.oid::regclass AS table, r.rolname AS owner, format('ALTER TABLE %s OWNER TO %I;', c.oid::regclass, pg_get_userbyid(p.relowner)) AS statement
FROM accounts AS a
JOIN pg_class AS c ON c.oid = a.oid
JOIN pg_roles AS r ON r.oid = c.relowner
JOIN pg_class AS p ON p.oid = 'chatapp.chatbots'::regclass
WHERE NOT r.rolsuper AND NOT pg_has_role(r.oid, p.relowner, 'USAGE')
  AND r.oid NOT IN (SELECT o.relowner FROM pg_class AS o WHERE o.relnamespace = p.relnamespace AND o.oid NOT IN (SELECT s.oid FROM accounts AS s)
                      AND o.relname IN ('users', 'companies', 'chatbots', 'chatbot_packages', 'ai_models', 'end_users', 'conversations'))
  AND r.oid <> (SELECT o.relowner FROM pg_class AS o WHERE o.oid = 'callctl.installation'::regclass)
ORDER BY 1;
