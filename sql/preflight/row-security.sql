-- finding: row-security
-- steps: 1-13
-- direction: both
-- ok: no row-level security hides rows from this role, and no neighbouring table of the new tables has it
-- why: if a policy applies to the role that migrates, the backfills skip the rows that it hides, without an error;
--      and a new table has no policy: with row-level security only its owner reads it, and without it every role with a
--      grant reads the rows of all companies
-- do: connect as a role with BYPASSRLS, or as the owner of a table without FORCE; for the new tables prepare policies like
--      those of the neighbouring tables, and create them right after the steps (new_tables_row_security: inherit, on or off)

SELECT
    'blocks' AS level,
    format('row-level security of %s applies to role %s and may hide rows from the step', c.oid::regclass, current_user)
        AS what,
    c.oid::regclass::text AS object,
    t.steps,
    format('ALTER ROLE %I BYPASSRLS; or connect as %s, who owns it, without FORCE ROW LEVEL SECURITY', current_user,
           pg_get_userbyid(c.relowner)) AS fix
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 4, 5, 6]),
    ('chatbots', ARRAY[3, 4, 6, 12]),
    ('companies', ARRAY[12]),
    ('ai_models', ARRAY[7, 8, 13])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
WHERE row_security_active(c.oid);

SELECT
    'warns' AS level,
    format('%s has row-level security (%s); %s', c.oid::regclass,
           coalesce('policies: ' || (
             SELECT string_agg(format('%I FOR %s TO %s%s%s', p.polname,
                      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                      (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)::text) END, ', ')
                       FROM unnest(p.polroles) AS r),
                      ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                      ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), '; ' ORDER BY p.polname)
             FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid), 'no policy'),
           CASE
             WHEN coalesce(current_setting('callctl.new_tables_row_security', true), '') = 'off'
               THEN 'new_tables_row_security is off: integration_accounts, calls and call_transcripts come without it'
             WHEN c.relname IN ('chatbots', 'companies') OR current_setting('callctl.new_tables_row_security', true) = 'on'
               THEN 'integration_accounts, calls and call_transcripts come with it and without a policy: only their owner reads them'
             ELSE 'integration_accounts, calls and call_transcripts get it only where chatbots or companies has it'
           END) AS what,
    c.oid::regclass::text AS object,
    ARRAY[9, 10, 11] AS steps
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'chatapp'::regnamespace
  AND c.relname IN ('chatbots', 'companies', 'conversations', 'end_users')
  AND c.relrowsecurity
  -- A table that is archived is restored as it was archived.
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.relname = 'call_transcripts' AND (n.oid = c.relnamespace OR n.nspname = 'callctl'));

-- callctl's sessions have row_security = off, and so have the platform's triggers that run as their role.
SELECT
    'warns' AS level,
    format('trigger %I on %s runs %s as role %s, and names %s, whose rows a policy hides from that role: what step %s writes will fail there',
           g.tgname, c.oid::regclass, g.tgfoid::regprocedure, current_user, h.oid::regclass, array_to_string(t.steps, ' or ')) AS what,
    format('%I on %s', g.tgname, c.oid::regclass) AS object,
    t.steps
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 4, 5]),
    ('chatbots', ARRAY[3, 4, 6, 12]),
    ('companies', ARRAY[12]),
    ('ai_models', ARRAY[7, 13])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid AND NOT p.prosecdef
JOIN pg_catalog.pg_class AS h ON h.relrowsecurity AND h.relkind IN ('r', 'p')
  AND position(h.relname IN p.prosrc) > 0 AND row_security_active(h.oid);
