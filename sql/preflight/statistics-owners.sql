-- finding: statistics-owners
-- steps: 1, 5-6
-- direction: both
-- ok: every statistics object on the columns to be changed or dropped can be restored with its owner
-- why: a statistics object belongs to the role that creates it; only a member of its owner's role can give it back, and only
--      if the owner has CREATE on its schema
-- do: grant the named privilege to the role that migrates; or let a superuser give the object back after the step

-- needs: chatapp.users.avatar_url
SELECT
    'warns' AS level,
    format('statistics object %I.%I belongs to role %s, and role %s cannot give it back to that role: where PostgreSQL makes it again for the other type, it belongs to the role that migrates',
           n.nspname, e.stxname, r.rolname, current_user) AS what,
    format('%I.%I', n.nspname, e.stxname) AS object,
    ARRAY[1] AS steps,
    CASE WHEN pg_has_role(r.oid, w.word) THEN format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, r.rolname)
         ELSE format('GRANT %I TO %I;', r.rolname, current_user) END AS fix
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid = e.stxowner
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
CROSS JOIN (SELECT CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS w(word)
WHERE a.attrelid = 'chatapp.users'::regclass
  AND a.attname = 'avatar_url'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
  AND r.rolname <> current_user
  AND (NOT pg_has_role(r.oid, w.word) OR NOT has_schema_privilege(r.oid, n.oid, 'CREATE'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper);

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'warns' AS level,
    format('statistics object %I.%I belongs to role %s, and role %s cannot give it back to that role: after migrate down it belongs to the role that migrates',
           n.nspname, e.stxname, r.rolname, current_user) AS what,
    format('%I.%I', n.nspname, e.stxname) AS object,
    ARRAY[5] AS steps,
    CASE WHEN pg_has_role(r.oid, w.word) THEN format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, r.rolname)
         ELSE format('GRANT %I TO %I;', r.rolname, current_user) END AS fix
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid = e.stxowner
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
CROSS JOIN (SELECT CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS w(word)
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
  AND r.rolname <> current_user
  AND (NOT pg_has_role(r.oid, w.word) OR NOT has_schema_privilege(r.oid, n.oid, 'CREATE'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper);

-- needs: chatapp.chatbots.chatbotType
SELECT
    'warns' AS level,
    format('statistics object %I.%I belongs to role %s, and role %s cannot give it back to that role: after migrate down it belongs to the role that migrates',
           n.nspname, e.stxname, r.rolname, current_user) AS what,
    format('%I.%I', n.nspname, e.stxname) AS object,
    ARRAY[6] AS steps,
    CASE WHEN pg_has_role(r.oid, w.word) THEN format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, r.rolname)
         ELSE format('GRANT %I TO %I;', r.rolname, current_user) END AS fix
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid = e.stxowner
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
CROSS JOIN (SELECT CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS w(word)
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
  AND r.rolname <> current_user
  AND (NOT pg_has_role(r.oid, w.word) OR NOT has_schema_privilege(r.oid, n.oid, 'CREATE'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper);

-- needs: callctl.definition
SELECT
    'warns' AS level,
    format('statistics object %s.%I belonged to role %s, %s: it will belong to role %s', f.detail ->> 'schema', f.name, f.detail ->> 'owner',
           CASE WHEN r.oid IS NULL THEN 'which does not exist' ELSE format('and role %s cannot give it back to that role', current_user) END,
           current_user) AS what,
    format('%s.%I', f.detail ->> 'schema', f.name) AS object,
    ARRAY[f.step] AS steps,
    CASE WHEN r.oid IS NULL THEN format('CREATE ROLE %I;', f.detail ->> 'owner')
         WHEN pg_has_role(r.oid, w.word) THEN format('GRANT CREATE ON SCHEMA %s TO %I;', f.detail ->> 'schema', r.rolname)
         ELSE format('GRANT %I TO %I;', r.rolname, current_user) END AS fix
FROM callctl.definition AS f
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = f.detail ->> 'owner'
CROSS JOIN (SELECT CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS w(word)
WHERE f.kind = 'statistics' AND f.detail ? 'owner' AND f.step IN (5, 6)
  AND f.detail ->> 'owner' <> current_user
  AND (r.oid IS NULL
       OR NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper)
          AND (NOT pg_has_role(r.oid, w.word)
               OR has_schema_privilege(r.oid, to_regnamespace(f.detail ->> 'schema')::oid, 'CREATE') IS FALSE));
