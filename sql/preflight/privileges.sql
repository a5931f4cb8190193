-- finding: privileges
-- direction: both
-- ok: this role has the privileges that the pending steps need
-- why: without them a step stops half way through its statements
-- do: GRANT what is missing to the role that migrates, or connect as the owner of the schema

SELECT
    'blocks' AS level,
    format('role %s has no CREATE on database %s, and callctl''s own schema is not there yet',
           current_user, current_database()) AS what,
    current_database()::text AS object
WHERE NOT has_database_privilege(current_database(), 'CREATE')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'callctl');

SELECT
    'blocks' AS level,
    format('role %s has no %s on schema %I', current_user, p.privilege, n.nspname) AS what,
    n.nspname::text AS object
FROM pg_catalog.pg_namespace AS n
CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS p(privilege)
WHERE (n.oid = 'chatapp'::regnamespace OR n.nspname = 'callctl')
  AND NOT has_schema_privilege(n.oid, p.privilege);

SELECT
    'blocks' AS level,
    format('role %s has no %s on %s', current_user, p.privilege, c.oid::regclass) AS what,
    c.oid::regclass::text AS object,
    p.steps
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
