-- finding: column-grants
-- steps: 2-3, 5-7
-- ok: no role has privileges on single columns of the tables that get new columns
-- why: a role with privileges on single columns cannot read the new flags, and its grant on the type column
--      is dropped with the column
-- do: after the step, GRANT the new columns to that role too

SELECT
    'warns' AS level,
    format('role %s has %s on single columns of %s: %s',
           CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee)::text END,
           x.privilege_type, c.oid::regclass, string_agg(a.attname::text, ', ' ORDER BY a.attnum)) AS what,
    c.oid::regclass::text AS object,
    t.steps,
    format('after the step: GRANT %s (%s) ON %s TO %s;', x.privilege_type, t.columns, c.oid::regclass,
           CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)::text) END) AS fix
FROM (VALUES
    ('chatbot_packages', ARRAY[2, 5], 'enable_chat, enable_call'),
    ('chatbots', ARRAY[3, 6], 'enabled_chat, enabled_call'),
    ('ai_models', ARRAY[7], 'model_type')
) AS t(name, steps, columns)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL aclexplode(a.attacl) AS x
GROUP BY c.oid, x.grantee, x.privilege_type, t.steps, t.columns;
