-- finding: type-column-in-use
-- steps: 5-6
-- ok: no code is known to name the type column
-- why: from the moment the column is dropped, every statement that names it fails; the database does not show the code, only
--      the last statement of each session
-- do: run callctl code-refs PATH over the application's code, and continue when it finds nothing; restart every instance that
--     still runs the old code; callctl migrate up --defer-drops leaves the column until then

-- needs: chatapp.chatbots.chatbotType, chatapp.chatbots.enabled_call
SELECT
    'warns' AS level,
    'code that still names the type column fails from here on; whether there is any, only code-refs can tell' AS what;

-- needs: chatapp.chatbots.chatbotType, chatapp.chatbots.enabled_call
SELECT
    'warns' AS level,
    format('session %s (%s, %s) named the type column in its last statement, %s ago', s.pid,
           coalesce(nullif(s.application_name, ''), 'no application name'), coalesce(s.usename::text, 'no role'),
           date_trunc('second', clock_timestamp() - s.query_start)) AS what,
    s.pid::text AS object
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database()
  AND s.pid <> pg_backend_pid()
  AND coalesce(s.application_name, '') NOT LIKE 'callctl%'
  AND EXISTS (
    SELECT 1
    FROM (VALUES ('chatapp.chatbots'::regclass, 'chatbottype'::name),
                 ('chatapp.chatbot_packages'::regclass, 'chatbottype'::name)) AS t(relation, name)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.relation AND a.attname = t.name AND NOT a.attisdropped
    WHERE strpos(lower(s.query), lower(a.attname::text)) > 0)
ORDER BY s.query_start DESC
LIMIT 20;

-- needs: chatapp.chatbots.chatbotType, chatapp.chatbots.enabled_call
SELECT
    'unknown' AS level,
    format('role %s may not see what %s other sessions said last', current_user, count(*)) AS what,
    NULL AS object,
    format('GRANT pg_read_all_stats TO %I; as a superuser, then run preflight again', current_user) AS fix
FROM pg_catalog.pg_stat_activity AS s
WHERE s.datname = current_database() AND s.pid <> pg_backend_pid() AND s.query = '<insufficient privilege>'
HAVING count(*) > 0;
