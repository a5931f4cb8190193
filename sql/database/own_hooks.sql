-- The triggers and rules of others on callctl's own tables, which could change or swallow what callctl records there: what it is,
-- and the statement that drops it. callctl's own triggers are known by name, function and table, and run once for a statement, so
-- that they keep no row. The platform's tables that a way down has archived in schema callctl keep theirs.
SELECT format('trigger %I on %s (function %s)', t.tgname, t.tgrelid::regclass, t.tgfoid::regprocedure) AS what,
       format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass) AS statement
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
WHERE c.relnamespace = to_regnamespace('callctl') AND c.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
  AND NOT t.tgisinternal AND t.tgenabled <> 'D'
  AND NOT (p.pronamespace = c.relnamespace AND p.pronargs = 0 AND t.tgtype::integer & 1 = 0
           AND CASE p.proname
             WHEN 'count_rows' THEN t.tgname IN ('count_added', 'count_changed', 'count_removed')
                                    AND EXISTS (SELECT FROM callctl.counted_tables() AS y WHERE y.relation = c.relname)
             WHEN 'spare_rows' THEN t.tgname IN ('spare_before', 'spare_after') AND c.relname IN ('saved_value', 'inheritance_breach')
             ELSE false END)
UNION ALL
SELECT format('rule %I on %s', r.rulename, r.ev_class::regclass), format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
WHERE c.relnamespace = to_regnamespace('callctl') AND c.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
  AND c.relkind IN ('r', 'p') AND r.ev_enabled <> 'D'
ORDER BY 1
