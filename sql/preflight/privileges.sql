-- finding: privileges
-- direction: both
-- ok: this role has the privileges that the pending steps need
-- why: without them a step stops part-way through its statements
-- do: GRANT the named privilege to the role that migrates, or connect as the owner of the schema

SELECT
    'blocks' AS level,
    format('role %s has no CREATE on database %s, and callctl''s own schema is not there yet',
           current_user, current_database()) AS what,
    current_database()::text AS object,
    format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user) AS fix
WHERE NOT has_database_privilege(current_database(), 'CREATE')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'callctl');

SELECT
    'blocks' AS level,
    format('role %s has no %s on schema %I', current_user, p.privilege, n.nspname) AS what,
    n.nspname::text AS object,
    format('GRANT %s ON SCHEMA %I TO %I;', p.privilege, n.nspname, current_user) AS fix
FROM pg_catalog.pg_namespace AS n
CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS p(privilege)
WHERE (n.oid = 'chatapp'::regnamespace OR n.nspname = 'callctl')
  AND NOT has_schema_privilege(n.oid, p.privilege);

SELECT
    'blocks' AS level,
    format('role %s has no %s on %s', current_user, p.privilege, c.oid::regclass) AS what,
    c.oid::regclass::text AS object,
    p.steps,
    format('GRANT %s ON %s TO %I;', p.privilege, c.oid::regclass, current_user) AS fix
FROM (VALUES
    ('users', 'SELECT', ARRAY[1]),
    ('chatbot_packages', 'SELECT', ARRAY[4, 5, 6]),
    ('chatbot_packages', 'UPDATE', ARRAY[4, 6]),
    ('chatbots', 'SELECT', ARRAY[4, 6, 12]),
    ('chatbots', 'UPDATE', ARRAY[4, 12]),
    ('chatbots', 'REFERENCES', ARRAY[10]),
    ('companies', 'SELECT', ARRAY[12]),
    ('companies', 'UPDATE', ARRAY[12]),
    ('companies', 'REFERENCES', ARRAY[9, 10]),
    ('end_users', 'REFERENCES', ARRAY[10]),
    ('conversations', 'REFERENCES', ARRAY[10]),
    ('ai_models', 'SELECT', ARRAY[8, 13]),
    ('ai_models', 'INSERT', ARRAY[13])
) AS p(name, privilege, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = p.name AND c.relnamespace = 'chatapp'::regnamespace
WHERE NOT has_table_privilege(c.oid, p.privilege);

-- Step 6 drops the enum type, unless another object uses it. migrate down makes it again, in its schema and for its owner.
-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    format('role %s has no CREATE on schema %I, where migrate down would make the enum %s again', r.rolname, n.nspname, y.oid::regtype)
        AS what,
    n.nspname::text AS object,
    ARRAY[6] AS steps,
    format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, r.rolname) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid AND y.typtype = 'e'
JOIN pg_catalog.pg_namespace AS n ON n.oid = y.typnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid = y.typowner OR r.rolname = current_user
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND NOT has_schema_privilege(r.oid, n.oid, 'CREATE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper)
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    LEFT JOIN pg_catalog.pg_attribute AS u ON u.attrelid = d.objid AND u.attnum = d.objsubid
    WHERE d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray) AND d.deptype <> 'i'
      AND (d.classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_type'::regclass)
           OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid > 0
              AND NOT (u.attname = a.attname
                       AND d.objid IN (a.attrelid, to_regclass('chatapp.chatbot_packages')))));

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    format('role %s has no CREATE on schema %I, where migrate down would make the enum %s again', r.rolname, n.nspname, y.oid::regtype)
        AS what,
    n.nspname::text AS object,
    ARRAY[6] AS steps,
    format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, r.rolname) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid AND y.typtype = 'e'
JOIN pg_catalog.pg_namespace AS n ON n.oid = y.typnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid = y.typowner OR r.rolname = current_user
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND NOT has_schema_privilege(r.oid, n.oid, 'CREATE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper)
  -- What chatbots uses too was asked about above.
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray) AND d.deptype <> 'i'
      AND (d.classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_type'::regclass)
           OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid > 0
              AND (d.objid, d.objsubid) IS DISTINCT FROM (a.attrelid, a.attnum::integer)));

-- needs: callctl.definition
SELECT DISTINCT
    'blocks' AS level,
    format('role %s has no CREATE on schema %I, where migrate down makes the enum %s again', r.rolname, n.nspname, f.detail ->> 'type')
        AS what,
    n.nspname::text AS object,
    ARRAY[6] AS steps,
    format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, r.rolname) AS fix
FROM callctl.definition AS f
JOIN pg_catalog.pg_namespace AS n ON n.nspname = (parse_ident(f.detail ->> 'type'))[1]
JOIN pg_catalog.pg_roles AS r
    ON r.rolname = current_user OR f.ddl = format('ALTER TYPE %s OWNER TO %I', f.detail ->> 'type', r.rolname)
WHERE f.kind = 'type'
  AND NOT has_schema_privilege(r.oid, n.oid, 'CREATE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS m WHERE m.rolname = current_user AND m.rolsuper);

-- A statistics object is dropped with the type column. migrate down makes it again, in its schema.
-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    format('role %s has no CREATE on schema %I, where migrate down would make statistics object %I again', current_user, n.nspname, e.stxname)
        AS what,
    n.nspname::text AS object,
    ARRAY[5] AS steps,
    format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, current_user) AS fix
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace AND n.oid <> 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
  AND NOT has_schema_privilege(n.oid, 'CREATE');

-- So is an index. migrate down builds it again, in its tablespace.
-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    format('role %s has no CREATE on tablespace %I, where migrate down would build index %s again', current_user, s.spcname, i.indexrelid::regclass)
        AS what,
    s.spcname::text AS object,
    ARRAY[5] AS steps,
    format('GRANT CREATE ON TABLESPACE %I TO %I;', s.spcname, current_user) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = a.attrelid
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                AND (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                     OR d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid))
  AND NOT has_tablespace_privilege(s.oid, 'CREATE');

-- A statistics object is dropped with the type column. migrate down makes it again, in its schema.
-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    format('role %s has no CREATE on schema %I, where migrate down would make statistics object %I again', current_user, n.nspname, e.stxname)
        AS what,
    n.nspname::text AS object,
    ARRAY[6] AS steps,
    format('GRANT CREATE ON SCHEMA %I TO %I;', n.nspname, current_user) AS fix
FROM pg_catalog.pg_statistic_ext AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.stxnamespace AND n.oid <> 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.stxrelid
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
  AND NOT has_schema_privilege(n.oid, 'CREATE');

-- So is an index. migrate down builds it again, in its tablespace.
-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    format('role %s has no CREATE on tablespace %I, where migrate down would build index %s again', current_user, s.spcname, i.indexrelid::regclass)
        AS what,
    s.spcname::text AS object,
    ARRAY[6] AS steps,
    format('GRANT CREATE ON TABLESPACE %I TO %I;', s.spcname, current_user) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = a.attrelid
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                AND (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                     OR d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid))
  AND NOT has_tablespace_privilege(s.oid, 'CREATE');

-- needs: callctl.definition
SELECT DISTINCT
    'blocks' AS level,
    format('role %s has no CREATE on schema %s, where migrate down makes statistics object %I again', current_user, f.detail ->> 'schema', f.name)
        AS what,
    f.detail ->> 'schema' AS object,
    ARRAY[f.step] AS steps,
    format('GRANT CREATE ON SCHEMA %s TO %I;', f.detail ->> 'schema', current_user) AS fix
FROM callctl.definition AS f
WHERE f.kind = 'statistics' AND f.detail ? 'schema' AND f.step IN (5, 6)
  AND NOT has_schema_privilege(to_regnamespace(f.detail ->> 'schema')::oid, 'CREATE');

-- needs: callctl.definition
SELECT DISTINCT
    'blocks' AS level,
    CASE WHEN s.oid IS NULL
         THEN format('there is no tablespace %I, where migrate down builds index %I again', f.detail ->> 'tablespace', f.name)
         ELSE format('role %s has no CREATE on tablespace %I, where migrate down builds index %I again', current_user, s.spcname, f.name)
    END AS what,
    f.detail ->> 'tablespace' AS object,
    ARRAY[f.step] AS steps,
    CASE WHEN s.oid IS NULL THEN format('create tablespace %I again', f.detail ->> 'tablespace')
         ELSE format('GRANT CREATE ON TABLESPACE %I TO %I;', s.spcname, current_user) END AS fix
FROM callctl.definition AS f
LEFT JOIN pg_catalog.pg_tablespace AS s ON s.spcname = f.detail ->> 'tablespace'
WHERE f.kind IN ('index', 'constraint') AND f.detail ->> 'tablespace' IS NOT NULL AND f.step IN (5, 6)
  AND has_tablespace_privilege(s.oid, 'CREATE') IS NOT TRUE;
