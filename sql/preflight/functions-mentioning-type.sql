-- finding: functions-mentioning-type
-- steps: 5-6
-- ok: no function's text mentions the type column
-- why: PostgreSQL does not check a function's text; the function remains, and its next call fails
-- do: change the function to use the capability flags, in the same release as the application

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'warns' AS level,
    format('the text of function %s mentions %s', p.oid::regprocedure, a.attname) AS what,
    p.oid::regprocedure::text AS object,
    ARRAY[5] AS steps
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_proc AS p ON strpos(lower(p.prosrc), lower(a.attname::text)) > 0
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'callctl')
  AND l.lanname NOT IN ('c', 'internal');

-- needs: chatapp.chatbots.chatbotType
SELECT
    'warns' AS level,
    format('the text of function %s mentions %s', p.oid::regprocedure, a.attname) AS what,
    p.oid::regprocedure::text AS object,
    ARRAY[6] AS steps
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_proc AS p ON strpos(lower(p.prosrc), lower(a.attname::text)) > 0
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'callctl')
  AND l.lanname NOT IN ('c', 'internal');
