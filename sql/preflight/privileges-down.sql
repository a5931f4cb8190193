-- finding: privileges-down
-- steps: 1-3, 5-7, 9-11, 13
-- direction: down
-- ok: this role has the privileges on the platform's tables by which migrate down reads and writes rows and makes triggers
-- why: an owner may have lost a privilege by REVOKE, and a step would stop part-way through its statements
-- do: GRANT the named privilege to the role that migrates

-- The checks of privileges for both directions, and those for migrate down alone: the steps' own statements, and what callctl's
-- functions do for them (triggers in 5 and 6, models in 13; at the end the archived rows are counted).
SELECT
    'blocks' AS level,
    format('role %s has no %s on %s', current_user, p.privilege, c.oid::regclass) AS what,
    c.oid::regclass::text AS object,
    p.steps,
    format('GRANT %s ON %s TO %I;', p.privilege, c.oid::regclass, current_user) AS fix
FROM (VALUES
    ('users', 'UPDATE', ARRAY[1]),
    ('chatbot_packages', 'SELECT', ARRAY[2, 5]),
    ('chatbot_packages', 'UPDATE', ARRAY[2, 5]),
    ('chatbot_packages', 'TRIGGER', ARRAY[5]),
    ('chatbots', 'SELECT', ARRAY[3, 6]),
    ('chatbots', 'UPDATE', ARRAY[3, 6]),
    ('chatbots', 'TRIGGER', ARRAY[6]),
    ('integration_accounts', 'SELECT', ARRAY[9]),
    ('calls', 'SELECT', ARRAY[10]),
    ('call_transcripts', 'SELECT', ARRAY[11]),
    ('ai_models', 'SELECT', ARRAY[7, 13]),
    ('ai_models', 'UPDATE', ARRAY[13]),
    ('ai_models', 'DELETE', ARRAY[13])
) AS p(name, privilege, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = p.name AND c.relnamespace = 'chatapp'::regnamespace
WHERE NOT has_table_privilege(c.oid, p.privilege);
