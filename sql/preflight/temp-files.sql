-- finding: temp-files
-- steps: 4-6, 12
-- direction: both
-- ok: temp_file_limit is large enough for the sorts of the steps that do not fit into memory
-- why: a sort larger than maintenance_work_mem (of an index build) or work_mem (of a list of rows) uses temporary files; the
--      server ends a statement whose files exceed temp_file_limit, and the step stops there
-- do: raise maintenance_work_mem or work_mem for the role that migrates; only a superuser may raise temp_file_limit

SELECT
    'blocks' AS level,
    format('%s of %s (about %s rows) sorts about %s, %s is %s, and temp_file_limit is %s', q.sort, q.relation, q.amount,
           pg_size_pretty(q.bytes), q.memory, current_setting(q.memory), current_setting('temp_file_limit')) AS what,
    q.relation AS object,
    q.steps,
    format('ALTER ROLE %I IN DATABASE %I SET %s = ''%sMB'';', session_user, current_database(), q.memory,
           2 * q.bytes / (1024 * 1024) + 1) AS fix
FROM (
    SELECT
        t.sort, t.memory, t.steps, c.oid::regclass::text AS relation, c.reltuples::bigint AS amount,
        (c.reltuples * 72)::bigint AS bytes  -- a key of one or two columns, as tuplesort holds it
    FROM (VALUES
        ('chatbots', 'an index build', 'maintenance_work_mem', ARRAY[4, 6]),
        ('chatbot_packages', 'an index build', 'maintenance_work_mem', ARRAY[4, 5]),
        ('chatbots', 'the list of the rows to write', 'work_mem', ARRAY[4, 6, 12]),
        ('chatbot_packages', 'the list of the rows to write', 'work_mem', ARRAY[4, 5]),
        ('companies', 'the list of the rows to write', 'work_mem', ARRAY[12])
    ) AS t(name, sort, memory, steps)
    JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
) AS q
WHERE current_setting('temp_file_limit') <> '-1'
  AND q.bytes > pg_size_bytes(current_setting(q.memory))
  AND q.bytes > pg_size_bytes(current_setting('temp_file_limit'));
