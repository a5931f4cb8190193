-- What has been made of the table that ddl_trial.sql created: rows are what it did not ask for.
SELECT s.level, s.what
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL (VALUES
    ('warns', CASE WHEN c.relrowsecurity
              THEN 'a new table gets row-level security: without a policy only its owner reads it' END),
    (CASE WHEN pg_has_role(c.relowner, 'USAGE') THEN 'warns' ELSE 'blocks' END,
     CASE WHEN pg_get_userbyid(c.relowner) <> current_user
          THEN format('a new table is given to role %s', pg_get_userbyid(c.relowner)) END),
    ('warns', (SELECT format('a new table gets trigger %s', string_agg(quote_ident(g.tgname), ', ' ORDER BY g.tgname))
               FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = c.oid HAVING count(*) > 0)),
    ('warns', (SELECT format('a new table gets policy %s', string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname))
               FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid HAVING count(*) > 0)),
    ('warns', (SELECT format('a new table gets column %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))
               FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 3 HAVING count(*) > 0))
) AS s(level, what)
WHERE c.oid = to_regclass('chatapp.callctl_trial') AND s.what IS NOT NULL;
