-- finding: ownership
-- direction: both
-- ok: this role owns, or is a member of the owner of, everything that the pending steps alter
-- why: only the owner can alter a table, so the step would stop at its first statement
-- do: connect as the owner, or as a superuser GRANT the owner role to the role that migrates

SELECT
    'blocks' AS level,
    format('role %s may not alter %s: it belongs to %s', current_user, c.oid::regclass, pg_get_userbyid(c.relowner))
        AS what,
    c.oid::regclass::text AS object,
    t.steps,
    format('GRANT %I TO %I; or connect as %I', pg_get_userbyid(c.relowner), current_user, pg_get_userbyid(c.relowner)) AS fix
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 4, 5]),
    ('chatbots', ARRAY[3, 4, 6, 12]),
    ('ai_models', ARRAY[7]),
    ('integration_accounts', ARRAY[9]),
    ('calls', ARRAY[10]),
    ('call_transcripts', ARRAY[11])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
WHERE NOT pg_has_role(c.relowner, 'USAGE');

-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    format('role %s may not drop the enum %s once nothing uses it: it belongs to %s',
           current_user, y.oid::regtype, pg_get_userbyid(y.typowner)) AS what,
    y.oid::regtype::text AS object,
    ARRAY[6] AS steps,
    format('ALTER TYPE %s OWNER TO %I;', y.oid::regtype, current_user) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND y.typtype = 'e'
  AND NOT pg_has_role(y.typowner, 'USAGE');

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    format('role %s may not drop the enum %s once nothing uses it: it belongs to %s',
           current_user, y.oid::regtype, pg_get_userbyid(y.typowner)) AS what,
    y.oid::regtype::text AS object,
    ARRAY[6] AS steps,
    format('ALTER TYPE %s OWNER TO %I;', y.oid::regtype, current_user) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND y.typtype = 'e'
  AND y.oid <> coalesce((SELECT o.atttypid FROM pg_catalog.pg_attribute AS o
                         WHERE o.attrelid = to_regclass('chatapp.chatbots') AND o.attname = a.attname), 0)
  AND NOT pg_has_role(y.typowner, 'USAGE');
