-- fast: yes
-- means: a role outside the application may read or change secrets of customers, or what callctl saved of their rows
-- fix: run the statement in the row, as a superuser; or, for accounts, GRANT the role the same on chatbots if it is one of the application's

-- A role that may do the same with all of chatbots is one of the application's roles (new-tables-granted uses the same rule). On
-- callctl's tables, such a role may only read. PUBLIC never may. Columns count if they hold secrets.
-- Tables that inherit from accounts hold rows of accounts. In schema callctl only its owner may create objects, or put a
-- trigger function that runs as its owner on a table.
-- A REVOKE takes back only what the role that runs it has granted; run by a superuser or a member of the owner, what the owner has
-- granted. So another role's grant is revoked as that role. If that role cannot name the table, its grant option is revoked, with
-- all that it has granted. Grants that depend on others come first.
-- check: secrets-closed: only the application's roles may use accounts and callctl's own schema, with everything kept and saved there
WITH RECURSIVE accounts AS (
  SELECT c.oid FROM pg_class AS c
  WHERE c.relname = 'integration_accounts' AND c.relnamespace IN ('chatapp'::regnamespace, 'callctl'::regnamespace)
  UNION
  SELECT i.inhrelid FROM accounts AS a JOIN pg_inherits AS i ON i.inhparent = a.oid
), given AS (
  SELECT c.oid::regclass::text AS object, c.oid::regclass::text AS place, c.relowner AS owner,
         -- An archived table is the platform's, with its grants.
         CASE WHEN c.relname IN ('integration_accounts', 'calls', 'call_transcripts') THEN 'chatapp'::regnamespace::oid ELSE c.relnamespace END AS namespace,
         g.*
  FROM pg_class AS c
  CROSS JOIN LATERAL (
    SELECT t.grantor, t.grantee, t.privilege_type AS privilege, t.is_grantable, NULL::name AS attname FROM aclexplode(c.relacl) AS t
    UNION ALL
    SELECT t.grantor, t.grantee, t.privilege_type, t.is_grantable, a.attname
    FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS t
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (c.oid NOT IN (SELECT s.oid FROM accounts AS s) OR a.attname IN ('credentials', 'access_token', 'refresh_token', 'webhook_secret'))
  ) AS g
  WHERE (c.oid IN (SELECT s.oid FROM accounts AS s) OR c.relnamespace = 'callctl'::regnamespace)
    -- Who may UPDATE a sequence may set it back, so that the next row is refused.
    AND (c.relkind IN ('r', 'p', 'f') OR c.relkind = 'S' AND g.privilege = 'UPDATE')
    -- What a run says of itself has no row of the platform in it: a role that may watch the server may read it.
    AND NOT (c.oid = to_regclass('callctl.run_state') AND g.privilege = 'SELECT' AND g.grantee = 'pg_monitor'::regrole AND NOT g.is_grantable)
  UNION ALL
  SELECT 'schema callctl', 'SCHEMA callctl', n.nspowner, n.oid, t.grantor, t.grantee, t.privilege_type, t.is_grantable, NULL
  FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS t
  WHERE n.nspname = 'callctl' AND t.privilege_type = 'CREATE'
  UNION ALL
  SELECT 'function ' || p.oid::regprocedure, 'FUNCTION ' || p.oid::regprocedure, p.proowner, p.pronamespace,
         t.grantor, t.grantee, t.privilege_type, t.is_grantable, NULL
  FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS t
  WHERE p.prosecdef AND p.prorettype = 'trigger'::regtype
    AND (p.pronamespace = 'callctl'::regnamespace OR p.pronamespace = 'chatapp'::regnamespace AND p.proname = 'check_chatbot_capabilities')
), lent AS (
  SELECT g.object, g.owner AS role, 0 AS hands FROM given AS g
  UNION
  SELECT g.object, g.grantee, l.hands + 1 FROM lent AS l JOIN given AS g ON g.object = l.object AND g.grantor = l.role AND g.is_grantable
  WHERE l.hands < 10
)
SELECT f.object AS table, f.role, f.may,
       CASE WHEN f.grantor = f.owner THEN format('REVOKE %s ON %s FROM %s%s;', f.may, f.place, f.named, f.cascading)
            WHEN o.rolsuper OR pg_has_role(o.oid, f.owner, 'USAGE')
            THEN format('%I granted it before it became a superuser, or a member of %I: end that, run callctl verify --fast for the REVOKE, then restore it',
                        o.rolname, pg_get_userbyid(f.owner))
            WHEN NOT has_schema_privilege(o.oid, f.namespace, 'USAGE')
            THEN format('REVOKE GRANT OPTION FOR %s ON %s FROM %I CASCADE;', f.may, f.place, o.rolname)
            ELSE format('SET ROLE %I; REVOKE %s ON %s FROM %s%s; RESET ROLE;', o.rolname, f.may, f.place, f.named, f.cascading) END AS statement
FROM (
  SELECT g.object, g.place, g.namespace, g.owner, g.grantor,
         CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS role,
         CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS named,
         string_agg(DISTINCT g.privilege || coalesce(' (' || quote_ident(g.attname) || ')', ''), ', ') AS may,
         CASE WHEN bool_or(g.is_grantable) THEN ' CASCADE' ELSE '' END AS cascading
  FROM given AS g
  LEFT JOIN pg_roles AS r ON r.oid = g.grantee
  WHERE g.grantee <> g.owner
    AND (g.grantee = 0
         OR r.oid IS NOT NULL AND NOT r.rolsuper AND NOT pg_has_role(r.oid, g.owner, 'USAGE')
            AND CASE WHEN g.privilege = 'EXECUTE' OR g.namespace = 'callctl'::regnamespace AND g.privilege <> 'SELECT' THEN true
                     ELSE NOT has_table_privilege(r.oid, 'chatapp.chatbots'::regclass, g.privilege) END)
  GROUP BY g.object, g.place, g.namespace, g.owner, g.grantee, g.grantor
) AS f
LEFT JOIN pg_roles AS o ON o.oid = f.grantor
ORDER BY (SELECT max(l.hands) FROM lent AS l WHERE l.object = f.object AND l.role = f.grantor) DESC, 1, 2;

-- store-tables compares the owner of callctl's own schema and tables.
-- check: secrets-owned: accounts, and tables that inherit from them, belong to a role that owns tables of the platform, or to callctl's owner
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

-- Step 9 gave them the row security of the neighbouring tables.
-- check (warns): secrets-row-security: accounts have row-level security if chatbots and companies have it
SELECT c.oid::regclass AS table, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass) AS statement
FROM pg_class AS c
WHERE c.relname = 'integration_accounts' AND c.relnamespace IN ('chatapp'::regnamespace, 'callctl'::regnamespace)
  AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
  AND (SELECT bool_and(n.relrowsecurity) FROM pg_class AS n
       WHERE n.relnamespace = 'chatapp'::regnamespace AND n.relname IN ('chatbots', 'companies'))
ORDER BY 1;
