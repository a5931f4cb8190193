-- finding: platform-triggers
-- steps: 1-7, 12-13
-- direction: both
-- ok: no trigger or rule of the platform is on the tables whose rows the steps write
-- why: the trigger fires for every row that a step writes; a rollback does not restore the columns that the trigger
--      writes, such as updated_at; a trigger that drops or changes a write stops the step, because the step compares
--      the stored rows; a trigger that fires after callctl's own can make the type column and the flags contradict each
--      other
-- do: read its function; if it does more than set updated_at (sends a message, writes an audit row), plan
--      for that many calls

-- migration/steps/hooks.sql reads what its text does with the row; callctl puts it in place of the query 'hook'.
WITH hook AS (
    SELECT NULL::oid AS oid, NULL::text AS writes, NULL::text AS because
)
SELECT
    'warns' AS level,
    format('trigger %I on %s runs %s for each row that step %s writes%s', g.tgname, c.oid::regclass,
           g.tgfoid::regprocedure, array_to_string(t.steps, ' or '),
           CASE h.writes WHEN 'may be swallowed' THEN format('; it may swallow the row (%s)', h.because)
                         WHEN 'not known' THEN format('; not known whether it keeps the row (%s)', h.because) END) AS what,
    format('%I on %s', g.tgname, c.oid::regclass) AS object,
    t.steps
FROM (VALUES
    ('users', 16, ARRAY[1]),
    ('chatbot_packages', 16, ARRAY[2, 4, 5]),
    ('chatbots', 16, ARRAY[3, 4, 6, 12]),
    ('companies', 16, ARRAY[12]),
    ('ai_models', 20, ARRAY[7, 13])
) AS t(name, event, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
LEFT JOIN hook AS h ON h.oid = g.oid
WHERE (g.tgtype::integer & t.event) <> 0
  AND n.nspname <> 'callctl'
  AND p.proname <> 'check_chatbot_capabilities';

SELECT
    'warns' AS level,
    format('rule %I on %s rewrites what step %s writes', r.rulename, c.oid::regclass, array_to_string(t.steps, ' or ')) AS what,
    format('%I on %s', r.rulename, c.oid::regclass) AS object,
    t.steps
FROM (VALUES
    ('users', ARRAY[1]),
    ('chatbot_packages', ARRAY[2, 4, 5]),
    ('chatbots', ARRAY[3, 4, 6, 12]),
    ('companies', ARRAY[12]),
    ('ai_models', ARRAY[7, 13])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D';

-- Triggers of one kind fire in the order of their names; callctl's begin with zzz_callctl.
SELECT
    'blocks' AS level,
    format('trigger %I on %s fires behind callctl''s, whose names begin with zzz_callctl', g.tgname, c.oid::regclass) AS what,
    format('%I on %s', g.tgname, c.oid::regclass) AS object,
    t.steps,
    format('ALTER TRIGGER %I ON %s RENAME TO %I;', g.tgname, c.oid::regclass, left('a_' || g.tgname, 63)) AS fix
FROM (VALUES
    ('chatbot_packages', ARRAY[2, 5]),
    ('chatbots', ARRAY[3, 6])
) AS t(name, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE (g.tgtype::integer & 3) = 3  -- BEFORE, FOR EACH ROW
  AND (g.tgtype::integer & 20) <> 0  -- INSERT or UPDATE
  AND g.tgname::text COLLATE "C" > 'zzz_callctl'
  AND n.nspname <> 'callctl';
