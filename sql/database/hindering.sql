-- The triggers and rules of others on these tables that could have changed or swallowed a write, as the statements that disable
-- them. %(schema)s, %(tables)s
SELECT format('ALTER TABLE %%I.%%I DISABLE TRIGGER %%I', n.nspname, c.relname, t.tgname) AS statement
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
  AND p.pronamespace <> coalesce(to_regnamespace('callctl'), 0::oid) AND p.proname <> 'check_chatbot_capabilities'
UNION ALL
SELECT format('ALTER TABLE %%I.%%I DISABLE RULE %%I', n.nspname, c.relname, r.rulename)
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'
ORDER BY 1
