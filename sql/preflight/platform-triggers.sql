-- finding: platform-triggers
-- steps: 4, 12-13
-- direction: both
-- ok: no trigger of the platform fires on the rows that the steps change
-- why: it fires for every row that the step changes, so the columns it writes (such as updated_at) change
--      too, and do not go back
-- do: read its function; if it does more than set updated_at (sends something, writes an audit row), plan
--      for that many calls

SELECT
    'warns' AS level,
    format('trigger %I on %s runs %s for each row that is changed by step %s', g.tgname, c.oid::regclass,
           g.tgfoid::regprocedure, array_to_string(t.steps, ' or ')) AS what,
    format('%I on %s', g.tgname, c.oid::regclass) AS object,
    t.steps
FROM (VALUES
    ('chatbot_packages', 16, ARRAY[4]),
    ('chatbots', 16, ARRAY[4, 12]),
    ('companies', 16, ARRAY[12]),
    ('ai_models', 4, ARRAY[13])
) AS t(name, event, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE (g.tgtype::integer & t.event) <> 0
  AND n.nspname <> 'callctl'
  AND p.proname <> 'check_chatbot_capabilities';
